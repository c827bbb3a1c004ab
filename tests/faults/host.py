"""What the host has that a jail could leave behind, read without starting a program."""
import os
import re
import socket
import struct

ROOT = os.getuid() == 0
SYSCTLS = ["net/ipv4/ip_forward"] + [f"net/{v}/conf/{i}/{k}" for v in ("ipv4", "ipv6") for i in ("all", "default", "up0")
                                     for k in ("forwarding", "accept_ra", "force_forwarding", "route_localnet")]
STATE = ["/run/netjail", "/run/netns", os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/nonexistent", "netjail")]
NFT_GETTABLE, NLM_F_REQUEST, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR = 10 << 8 | 1, 1, 0x300, 3, 2


def read(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def processes():
    """pid and name of all that may belong to a jail."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        name = read(f"/proc/{pid}/comm").strip()
        state = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if (name.startswith("netjail") or name == "probe") and state and state[0] not in "ZX":
            yield int(pid), name


def nft_tables():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 12) as nl:
        nl.send(struct.pack("=IHHIIBBH", 20, NFT_GETTABLE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0, 0, 0, 0))
        while True:
            data = nl.recv(65536)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                at = 20
                while at < length:
                    size, attribute = struct.unpack_from("=HH", data, at)
                    if attribute == 1:
                        yield f"table of family {data[16]}: {data[at + 4:at + size - 1].decode()}"
                    at += (size + 3) & ~3
                data = data[length:]


def links(net="/proc/self/net"):
    """Links with their IPv6 addresses, IPv4 addresses and routes, also of a process in another namespace."""
    yield from (f"link {line.partition(':')[0].strip()}" for line in read(f"{net}/dev").splitlines() if ":" in line)
    # The second field is the link's index, which is another one when it comes back; the kernel takes IFA_F_TENTATIVE
    # away by itself.
    for line in read(f"{net}/if_inet6").splitlines():
        address, _, length, scope, flags, name = line.split()
        yield f"address {address} {[length, scope, f'{int(flags, 16) & ~0x40:02x}', name]}"
    for line in read(f"{net}/route").splitlines()[1:]:
        fields = line.split("\t")
        yield f"route {fields[:4]} {fields[6:]}"
    # Fields 5 and 6 are counters of use.
    yield from (f"route {f[:5]} {f[8:]}" for f in map(str.split, read(f"{net}/ipv6_route").splitlines()) if f[9] != "lo")
    yield from ("address " + match for match in re.findall(r"-- (\S+)\n +/32 host LOCAL", read(f"{net}/fib_trie")))


def device(name):
    """What a moved device has besides."""
    yield from (f"{name}: {key} {read(f'/sys/class/net/{name}/{key}').strip()}" for key in
                ("ifalias", "mtu", "flags", "netdev_group", "address"))


def is_kernels(line, names):
    """What the kernel gives a link that is up by itself, a second later at worst. `names`: also their beginnings."""
    return any(name in line for name in names) and ("fe80" in line or "'ff00" in line or "'80', '0000" in line)


def leftovers(devices, settling):
    """`settling`: names of links whose own addresses and routes may still come."""
    found = [line for line in links() if not is_kernels(line, settling)]
    for name in devices:
        found += device(name)
    for directory in STATE:
        if os.path.isdir(directory):
            found += [f"{directory}/{name}" for name in os.listdir(directory)]
    found += [f"{path} = {read('/proc/sys/' + path).strip()}" for path in SYSCTLS]
    found += [line.partition(" - ")[0].split(" ", 3)[3] for line in read("/proc/self/mountinfo").splitlines()]
    if ROOT:
        found += nft_tables()
    return sorted(found)
