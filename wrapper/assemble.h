/* From file, options and values to one checked policy. */
#pragma once

#include "policy/policy.h"
#include "wrapper/options.h"

struct assembled {
    struct policy *policy; /* owned */
    struct diags *diags;   /* lives in the policy */
};

/* Parses and checks everything the options name. 0: the policy is good and available; warnings may
 * be in diags. -EINVAL: errors are in diags. Any other negative errno: *error (a file that cannot
 * be read). `assembled` is to be freed in every case. */
int assemble_policy(const struct options *options, struct assembled *ret_assembled,
                    struct error *error);
void assembled_free(struct assembled *assembled);
