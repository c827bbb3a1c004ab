/* Receives the jail's sockets from the supervisor, once, after all privilege is gone.
 *
 * Mustn't touch one of them: who has not got all begins nothing. */
#include "service/begin.h"

#include "jail/packet.h"
#include "service/protocol.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]); /* nothing has been done with them */
}

/* Takes one notice: at most `wanted` descriptors; how many, or a negative errno. */
static int take_notice(int fd, int *ret_fds, size_t wanted, struct notice_begin *ret_notice)
{
    int fds[PACKET_FDS_MAX];
    size_t count;
    int length = packet_receive(fd, ret_notice, sizeof *ret_notice, true, fds, &count);

    if (length < 0)
        return length;
    if (length == 0)
        return -ECANCELED;
    if (length != (int)sizeof *ret_notice || ret_notice->kind != NOTICE_BEGIN || count == 0 ||
        count > wanted || ret_notice->left != wanted - count) {
        close_all(fds, count);
        return -EPROTO;
    }
    memcpy(ret_fds, fds, count * sizeof *fds);
    return (int)count;
}

int begin_await(int fd, int *ret_fds, size_t count, bool *ret_queues, struct error *error)
{
    struct notice_begin notice = {0};
    size_t taken = 0;

    while (taken < count) {
        int result = take_notice(fd, ret_fds + taken, count - taken, &notice);

        if (result < 0) {
            close_all(ret_fds, taken);
            return result == -ECANCELED
                       ? result
                       : error_errno(error, result, "cannot take over the jail's sockets");
        }
        taken += (size_t)result;
    }
    *ret_queues = notice.queues != 0;
    return 0;
}
