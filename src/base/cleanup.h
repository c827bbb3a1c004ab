/* Cleanup by scope: a variable declared with one of these macros is released when it goes out of
 * scope, on every path. Transfer of ownership is always visible: take_fd(), take_ptr(). */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_pointer(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* nothing can be done about a failed close of a descriptor we drop */
}

static inline void cleanup_close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file); /* readers only; writers close by hand and look at the result */
}

static inline void cleanup_close_directory(DIR **directory)
{
    if (*directory)
        (void)closedir(*directory); /* a reader */
}

#define cleanup_free __attribute__((cleanup(cleanup_free_pointer)))
#define cleanup_fd   __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_file __attribute__((cleanup(cleanup_close_file)))
#define cleanup_dir  __attribute__((cleanup(cleanup_close_directory)))

/* Hands the descriptor in *fd to the caller and leaves -1 behind. */
static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Hands the heap pointer in *pointer to the caller and leaves NULL behind. */
#define take_ptr(pointer)                                                                          \
    __extension__({                                                                                \
        __typeof__(*(pointer)) taken_ = *(pointer);                                                \
        *(pointer) = NULL;                                                                         \
        taken_;                                                                                    \
    })

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
