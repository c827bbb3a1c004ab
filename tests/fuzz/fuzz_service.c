/* What netjail-service parses: its configuration with the policy in it (first byte even), messages
 * of the packet log (odd). */
#include "base/buf.h"
#include "base/cleanup.h"
#include "service/config.h"
#include "service/denials.h"
#include "service/judge.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void print(void *context, const struct nflog_packet *packet)
{
    cleanup_buf struct buf out = {0};
    const struct denial denial = {
        .jail_name = "jail", .policy_name = packet->prefix, .packet = packet, .count = 1};

    (void)context;
    denial_print(&denial, &out);
    denial_print_json(&denial, &out);
    for (const char *at = buf_text(&out); *at; at++) {
        if ((unsigned char)*at < ' ' && *at != '\n')
            __builtin_trap(); /* a control character reached the log */
    }
}

/* What the service relies on. */
static void check_config(const struct service_config *config, const struct service_listener *list)
{
    if (strlen(config->jail_name) >= sizeof config->jail_name || config->connection_limit == 0)
        __builtin_trap();
    for (uint32_t i = 0; i < config->listener_count; i++) {
        if (list[i].target_count == 0 || list[i].target_count > SERVICE_TARGETS_MAX)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct service_setup setup = {0};
    struct judge *judge;
    struct error error = {0};

    if (size == 0)
        return 0;
    if (data[0] & 1) {
        (void)nflog_each(data + 1, size - 1, print, NULL);
    } else if (service_config_parse(data + 1, size - 1, &setup, &error) == 0) {
        check_config(&setup.config, setup.listeners);
        if (judge_new(&setup, &judge, &error) == 0)
            judge_free(judge);
        service_setup_free(&setup);
    }
    return 0;
}
