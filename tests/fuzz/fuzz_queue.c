/* What netjail-service reads from the jail's queue: netlink messages with packets in them. */
#include "service/queue_packet.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static void each(void *context, const struct queue_packet *packet)
{
    const uint8_t *end = context;

    if (packet->protocol == 0)
        return;
    if (packet->source.family != ADDR_V4 && packet->source.family != ADDR_V6)
        __builtin_trap();
    if (packet->destination.family != packet->source.family)
        __builtin_trap();
    if (packet->payload && packet->payload + packet->payload_length > end)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    queue_packets_each(data, size, each, (void *)(uintptr_t)(data + size));
    return 0;
}
