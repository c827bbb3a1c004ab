/* Messages between netjailctl, the supervisor and a program started in the jail.
 *
 * Used on all three sides, so nothing here needs privilege or waits unless it is told to. What must
 * not happen: a descriptor that came with a bad message and stays open, or a description of a
 * program whose strings end outside of it. */
#include "jail/request.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static const size_t request_fds[REQUEST_KINDS] = {
    [REQUEST_NAMESPACE] = 0,
    [REQUEST_PROGRAM] = REQUEST_PROGRAM_FDS,
};

bool request_is_valid(const struct request *request, size_t length, size_t fds_count)
{
    return length == sizeof *request && request->magic == REQUEST_MAGIC && request->kind > 0 &&
           request->kind < REQUEST_KINDS && request_fds[request->kind] == fds_count;
}

bool program_header_is_valid(const struct program_header *header)
{
    return header->magic == PROGRAM_MAGIC && header->argc > 0 && header->argc <= PROGRAM_ARGS_MAX &&
           header->envc <= PROGRAM_ARGS_MAX && header->terminal_fds < 8 && header->umask <= 0777 &&
           header->cwd_length < sizeof header->cwd;
}

/* Takes `count` strings; NULL: there are fewer. */
static char *split_strings(char *at, const char *end, char **strings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;

        if (!nul)
            return NULL;
        strings[i] = at;
        at = nul + 1;
    }
    strings[count] = NULL;
    return at;
}

bool program_split(const struct program_header *header, char *text, size_t length, char **argv,
                   char **envp)
{
    const char *end = text + length;
    char *at = split_strings(text, end, argv, header->argc);

    if (at)
        at = split_strings(at, end, envp, header->envc);
    if (at != end)
        return false;
    for (uint32_t i = 0; i < header->envc; i++) {
        if (envp[i][0] == '=' || !strchr(envp[i], '='))
            return false;
    }
    return true;
}
