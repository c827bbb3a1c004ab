/* What a policy was parsed from, in its order, so that another process can parse the same: the
 * supervisor writes it down, netjail-service replays it. Pure. */
#pragma once

#include "base/buf.h"
#include "policy/policy.h"

struct transcript_item;

/* Notes what goes through it. The texts are not copied: they stay the caller's until the
 * transcript was written. Zero-initialised but for the first members. */
struct transcript {
    struct policy *policy;
    struct diags *diags;
    struct policy_reader inner;  /* who really reads the files */
    struct policy_reader reader; /* private: the one that notes what it read */
    struct policy_value *values; /* of the options -D */
    size_t values_count, values_capacity;
    struct transcript_item *items;
    size_t items_count, items_capacity;
};

void transcript_begin(struct transcript *transcript, struct policy *policy, struct diags *diags,
                      struct policy_reader inner);

/* `-D NAME=VALUE`, before the first text. -EINVAL when it is not of that form. */
int transcript_value(struct transcript *transcript, const char *text);

/* policy_parse() with the values and the reader of the transcript. Errors are counted in the diags.
 */
void transcript_parse(struct transcript *transcript, const char *name, const char *path,
                      const char *text, size_t length, bool is_option);

/* Appends the transcript to `out`, in the byte order of this machine. */
void transcript_write(const struct transcript *transcript, struct buf *out);

/* Parses and checks the same texts again. `policy` is empty; the bytes stay the caller's and are
 * needed only meanwhile. The bytes are hostile: -EINVAL and a sentence in *error where they are no
 * transcript, or where the policy in them has an error. */
int transcript_replay(const void *bytes, size_t length, struct policy *policy, struct diags *diags,
                      struct error *error);

/* Must netjail-service know the policy? Only where it decides or resolves. */
bool policy_asks_service(const struct policy *policy);
