"""The ways in which netjail runs a command, each with what surrounds it: see faults.py."""
import dataclasses
import os
import subprocess
import time

import host

ROOT = os.getuid() == 0
NETJAIL, NETJAILCTL = os.environ["NETJAIL"], os.environ["NETJAILCTL"]

# Somebody listens at each of these, and the jail must not reach it.
HOST = ["tcp/192.0.2.1/9999", "tcp/2001:db8:1::1/9999", "tcp/192.0.2.100/9", "tcp/2001:db8:1::100/9"]

BRIDGE = """
network f_br { address 10.77.0.1/24 ; address fd00:77::1/64 ; nat }
name faulty
link eth0 bridge f_br { address 10.77.0.5/24 ; address fd00:77::5/64 }
publish any:8080 to 80
allow out tcp port 7
"""
VETH = """
name cable
link eth0 veth host { address 10.78.0.2/30 ; peer-address 10.78.0.1/30 ; nat }
allow out tcp to 192.0.2.0/24 port 7
"""
RELAY = """
name carried
link relay
allow out tcp to 192.0.2.100 port 7
"""
NAMES = """
name named
link relay
dns { upstream 192.0.2.100 }
allow out tcp to www.test port 7
"""
EXPOSE = """
name exposed
expose 9998
"""
MACVLAN = """
name child
link eth0 macvlan up0 { address 192.0.2.21/24 ; address 2001:db8:1::21/64 ; gateway 192.0.2.100 ; mode bridge }
allow out tcp port 7
"""
DEVICE = """
name modem
link usb0 device usb0 { address keep }
allow out tcp port 7
"""
PARTNER = """
name partner
link wan0 veth host { address 10.76.0.2/30 ; peer-address 10.76.0.1/30 }
allow out tcp port 7
"""
CABLE = """
name wired
link eth0 veth jail partner { address 10.75.0.2/24 ; peer-address 10.75.0.1/24 ; peer-name topeer }
allow out tcp port 7
"""
JOIN = """
name joined
link join partner
"""
CREATED = """
network c_br { address 10.74.0.1/24 ; address fd00:74::1/64 ; nat }
link eth0 bridge c_br { address 10.74.0.5/24 ; address fd00:74::5/64 }
allow out tcp port 7
"""

# A jail, and a program that is started in it: roles 0.1 (netjail), 0.2 (netjailctl), 0.1.1 (init). A jail that ends
# before its command has said anything is waited for in vain.
EXEC = """
"$1" -q --wait-clean --name executed sh -c 'echo up > "$0"; exec sleep 1000' "$3" &
if read -rt 10 up <> "$3"; then
    shift 3
    "$@"
    status=$?
else
    status=125
fi
kill "$!"
wait "$!"
exit "$status"
"""


@dataclasses.dataclass
class Mode:
    arguments: list = dataclasses.field(default_factory=list)
    policy: str = None
    links: list = dataclasses.field(default_factory=list)
    closed: list = dataclasses.field(default_factory=lambda: HOST)
    asks: list = dataclasses.field(default_factory=list)  # more for the probe
    manager: bool = False  # a service manager listens
    partner: bool = False  # another jail runs
    devices: list = dataclasses.field(default_factory=list)
    how: str = "run"  # or "create", "exec"
    supervisor: str = "0"
    thread: str = None  # of the supervisor: what kills it kills both
    init: str = "0.1"


MODES = {
    "plain": Mode(),
    "shared": Mode(["-e", "processes shared"]),
    "publish": Mode(["-P", "8081:80"]),
    "relay": Mode(policy=RELAY),
    "names": Mode(policy=NAMES, asks=["name/www.test", "closed/evil.test"]),
    "expose": Mode(policy=EXPOSE, closed=HOST + ["tcp/192.0.0.1/9999"]),
    "notify": Mode(manager=True, thread="0.2"),
    "exec": Mode(how="exec", supervisor="0.1", init="0.1.1"),
}
if ROOT:
    MODES |= {
        "user": Mode(["--user", "64321:64321"], init="0.2"),  # behind the look-up of the user
        "bridge": Mode(policy=BRIDGE, links=["eth0"], closed=HOST + ["tcp/10.77.0.1/9999", "tcp/fd00:77::1/9999"]),
        "veth": Mode(policy=VETH, links=["eth0"], closed=HOST + ["tcp/10.78.0.1/9999"]),
        "cable": Mode(policy=CABLE, links=["eth0"], closed=HOST + ["tcp/10.75.0.1/9997"], partner=True,
                      init="0.3"),  # behind two that look into the partner's network
        "macvlan": Mode(policy=MACVLAN, links=["eth0"]),
        "device": Mode(policy=DEVICE, links=["usb0"], closed=HOST + ["tcp/10.73.0.2/9"], devices=["usb0"]),
        "join": Mode(policy=JOIN, links=["wan0"], closed=HOST + ["tcp/10.76.0.1/9999"], partner=True, init="0.2"),
        "create": Mode(policy=CREATED, links=["eth0"], closed=HOST + ["tcp/10.74.0.1/9999"], how="create",
                       supervisor="0.1", init="0.1.1"),
    }


def ip(*arguments, outside=False):
    prefix = ["nsenter", "--net=/run/netns/outside"] if outside else []
    return subprocess.run([*prefix, "ip", *arguments], check=False, capture_output=True).returncode


def make_device():
    """usb0, whose other end is in the outside."""
    for arguments in ("link add usb0 mtu 1400 type veth peer name far0 netns outside",
                      "link set usb0 alias modem group 7", "address add 10.73.0.1/24 dev usb0",
                      "address add fd00:73::1/64 dev usb0 nodad", "link set usb0 up"):
        ip(*arguments.split())
    for arguments in ("address add 10.73.0.2/24 dev far0", "link set far0 up"):
        ip(*arguments.split(), outside=True)
    for arguments in ("route add 10.72.0.0/16 via 10.73.0.2 dev usb0 metric 50", "-6 route add fd00:72::/48 dev usb0"):
        ip(*arguments.split())


class Surroundings:
    """What a mode needs beside netjail, made once and mended when a case has broken it."""

    def __init__(self, mode, work):
        self.mode, self.work = mode, work
        self.partner, self.own = None, set()
        self.make()

    def make(self):
        if self.mode.devices:
            ip("link", "delete", "usb0")
            make_device()
        if self.mode.partner:
            path = policy(self.work, "partner", PARTNER)
            self.partner = subprocess.Popen([NETJAIL, "-q", "--wait-clean", "-p", path, "sh", "-c",
                                             "echo up; exec sleep 100000"], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, text=True)
            if self.partner.stdout.readline() != "up\n":
                raise SystemExit("the partner jail does not start")
            end = time.monotonic() + 10  # its socket comes after its command
            while not os.path.exists("/run/netjail/partner.sock") and time.monotonic() < end:
                time.sleep(0.01)
            self.own = {pid for pid, _ in host.processes()}
        self.before = self.state()

    def inside(self):
        """A process in the partner's network."""
        children = host.read(f"/proc/{self.partner.pid}/task/{self.partner.pid}/children").split()
        return children[0] if children else "none"

    def state(self):
        """The links themselves are looked at, those of the partner, too (nj-*: the host's end)."""
        settling = [*self.mode.devices, *(["nj-", "wan0"] if self.partner else [])]
        found = host.leftovers(self.mode.devices, settling)
        if self.partner:
            found += [f"the partner's {line}" for line in host.links(f"/proc/{self.inside()}/net")
                      if not host.is_kernels(line, settling)]
        return found

    def left(self):
        now = self.state()
        return [line for line in now if line not in self.before] + \
            [f"{line} is gone" for line in self.before if line not in now]

    def processes(self):
        return [f"{pid} {name}" for pid, name in host.processes() if pid not in self.own]

    def end(self):
        if self.partner:
            self.partner.terminate()
            self.partner.wait()
            self.partner.stdout.close()
            self.partner, self.own = None, set()
        if self.mode.devices:
            ip("link", "delete", "usb0")

    def mend(self):
        self.end()
        self.make()


def policy(work, name, text):
    path = os.path.join(work, f"{name}.conf")
    if not os.path.exists(path):
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o644)
    return path
