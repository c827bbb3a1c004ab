/* From file, options and values to one checked policy. */
#pragma once

#include "base/buf.h"
#include "policy/policy.h"
#include "wrapper/options.h"

struct assembled {
    struct policy *policy; /* owned */
    struct diags *diags;   /* lives in the policy */
    struct buf texts;      /* owned: the transcript for netjail-service; empty when it needs none */
};

/* Parses and checks everything the options name. 0: the policy is good and available; warnings may
 * be in diags. -EINVAL: errors are in diags. Any other negative errno: *error (a file that cannot
 * be read). `assembled` is to be freed in every case. */
int assemble_policy(const struct options *options, struct assembled *ret_assembled,
                    struct error *error);
void assembled_free(struct assembled *assembled);
