/* How every line of a JSON log begins. A file of its own, so that the words of the log need nothing
 * of what writes it. Pure. */
#include "service/log.h"

#include "base/buf.h"

void log_json_begin(struct buf *out, uint64_t time_s, const char *jail_name,
                    const char *policy_name)
{
    buf_printf(out, "{\"time\":%llu", (unsigned long long)time_s);
    log_json_member(out, "jail", jail_name);
    log_json_member(out, "policy", policy_name ? policy_name : "");
}

void log_json_member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_put_json(out, value);
}
