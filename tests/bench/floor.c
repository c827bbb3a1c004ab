/* floor COMMAND...: the least that can be done for `netjail COMMAND` without a policy: the same
 * namespaces, /proc, lo up, wait. */
#include "floor.h"

int main(int argc, char **argv)
{
    pid_t pid;

    if (argc < 2)
        return 125;
    pid = start();
    if (pid == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    return wait_for(pid);
}
