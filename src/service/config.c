/* Reads and judges the configuration that the supervisor hands over in a memory file.
 *
 * The service trusts nothing that it is given: sizes must agree exactly, every number is within its
 * range, every name ends, every boolean is 0 or 1 (any other byte in a bool is undefined behaviour,
 * so it is looked at as a byte first). Called after all privilege is gone. */
#include "service/config.h"

#include "base/cleanup.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#define INVALID(error, ...) error_set((error), -EINVAL, "invalid configuration: " __VA_ARGS__)

static_assert(sizeof(bool) == 1, "a bool is checked as one byte");

static bool is_bool(const uint8_t *bytes, size_t offset)
{
    return bytes[offset] <= 1;
}

/* Jail names are letters, digits, '.', '_' and '-' (policy.h); they stand in every line of the log.
 */
static bool name_is_valid(const char *name, size_t size)
{
    size_t length = strnlen(name, size);

    if (length == 0 || length == size)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isascii((unsigned char)name[i]) ||
            (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i])))
            return false;
    }
    return true;
}

static bool addr_is_valid(const struct addr *addr)
{
    if (addr->family != ADDR_V4 && addr->family != ADDR_V6)
        return false;
    for (size_t i = addr_size(addr->family); i < sizeof addr->bytes; i++) {
        if (addr->bytes[i])
            return false;
    }
    return true;
}

static bool target_is_valid(const struct addr *addr)
{
    struct addr zero = {.family = addr->family};

    /* 0.0.0.0 would connect to the jail's loopback by accident */
    return addr_is_valid(addr) && !addr_equal(addr, &zero);
}

static int known_check(const struct known_range *known, uint32_t index, struct error *error)
{
    const struct addr_range *range = &known->range;

    if (known->kind >= KNOWN_KINDS)
        return INVALID(error, "range %u is of kind %u", index, known->kind);
    if (!addr_is_valid(&range->first) || !addr_is_valid(&range->last) ||
        range->first.family != range->last.family || addr_compare(&range->first, &range->last) > 0)
        return INVALID(error, "range %u is none", index);
    return 0;
}

static int listener_check(const struct service_listener *listener, uint32_t index,
                          struct error *error)
{
    if (listener->protocol != IPPROTO_TCP && listener->protocol != IPPROTO_UDP)
        return INVALID(error, "listener %u has protocol %u", index, listener->protocol);
    if (listener->jail_port == 0)
        return INVALID(error, "listener %u has port 0", index);
    if (listener->target_count == 0 || listener->target_count > SERVICE_TARGETS_MAX)
        return INVALID(error, "listener %u has %u targets", index, listener->target_count);
    for (uint8_t i = 0; i < listener->target_count; i++) {
        if (!target_is_valid(&listener->targets[i]))
            return INVALID(error, "target %u of listener %u is no address", i, index);
    }
    return 0;
}

static int header_check(const uint8_t *bytes, size_t length, struct service_config *ret_config,
                        struct error *error)
{
    size_t rest;

    if (length < sizeof *ret_config)
        return INVALID(error, "%zu bytes are too short", length);
    if (!is_bool(bytes, offsetof(struct service_config, limit_given)) ||
        !is_bool(bytes, offsetof(struct service_config, relay)) ||
        !is_bool(bytes, offsetof(struct service_config, resolver_on_loopback)) ||
        !is_bool(bytes, offsetof(struct service_config, log)) ||
        !is_bool(bytes, offsetof(struct service_config, log_json)) ||
        !is_bool(bytes, offsetof(struct service_config, log_journal)))
        return INVALID(error, "a boolean is neither 0 nor 1");
    memcpy(ret_config, bytes, sizeof *ret_config);
    if (ret_config->magic != SERVICE_MAGIC)
        return INVALID(error, "it starts with %#x", ret_config->magic);
    if (ret_config->listener_count > SERVICE_LISTENERS_MAX)
        return INVALID(error, "%u listeners, at most %d are possible", ret_config->listener_count,
                       SERVICE_LISTENERS_MAX);
    if (ret_config->known_count > SERVICE_KNOWN_MAX)
        return INVALID(error, "%u ranges, at most %d are possible", ret_config->known_count,
                       SERVICE_KNOWN_MAX);
    rest = length - sizeof *ret_config;
    if (ret_config->policy_length > rest ||
        rest - ret_config->policy_length !=
            ret_config->listener_count * sizeof(struct service_listener) +
                ret_config->known_count * sizeof(struct known_range))
        return INVALID(error, "%zu bytes do not hold %u listeners, %u ranges and the policy",
                       length, ret_config->listener_count, ret_config->known_count);
    if (ret_config->relay && ret_config->policy_length == 0)
        return INVALID(error, "a relay without a policy");
    if (ret_config->connection_limit == 0)
        return INVALID(error, "the connection limit is 0");
    if (ret_config->rate_count > 0 && (ret_config->rate_unit_s == 0 || ret_config->rate_burst == 0))
        return INVALID(error, "a rate without its time");
    if (!name_is_valid(ret_config->jail_name, sizeof ret_config->jail_name))
        return INVALID(error, "the jail's name is not one");
    if (!memchr(ret_config->policy_name, 0, sizeof ret_config->policy_name))
        return INVALID(error, "the policy's name does not end");
    return 0;
}

void service_setup_free(struct service_setup *setup)
{
    free(setup->listeners);
    free(setup->known);
    free(setup->policy);
    *setup = (struct service_setup){0};
}

/* A copy of `size` bytes, never of size 0, which calloc(3) may answer with NULL. */
static void *copy(const uint8_t **at, size_t size)
{
    void *bytes = malloc(size + 1);

    if (bytes)
        memcpy(bytes, *at, size);
    *at += size;
    return bytes;
}

static int setup_fill(struct service_setup *setup, const uint8_t *at, struct error *error)
{
    int code = 0;

    setup->listeners = copy(&at, setup->config.listener_count * sizeof *setup->listeners);
    setup->known = copy(&at, setup->config.known_count * sizeof *setup->known);
    setup->policy = copy(&at, (size_t)setup->config.policy_length);
    if (!setup->listeners || !setup->known || !setup->policy)
        return error_errno(error, -ENOMEM, "cannot read the configuration");
    for (uint32_t i = 0; i < setup->config.listener_count && code == 0; i++)
        code = listener_check(&setup->listeners[i], i, error);
    for (uint32_t i = 0; i < setup->config.known_count && code == 0; i++)
        code = known_check(&setup->known[i], i, error);
    return code;
}

int service_config_parse(const void *bytes, size_t length, struct service_setup *ret_setup,
                         struct error *error)
{
    struct service_setup setup = {0};
    int code = header_check(bytes, length, &setup.config, error);

    if (code < 0)
        return code;
    code = setup_fill(&setup, (const uint8_t *)bytes + sizeof setup.config, error);
    if (code < 0) {
        service_setup_free(&setup);
        return code;
    }
    *ret_setup = setup;
    return 0;
}

int service_config_read(int fd, struct service_setup *ret_setup, struct error *error)
{
    cleanup_free uint8_t *bytes = NULL;
    struct stat status;
    size_t length = 0;

    if (fstat(fd, &status) < 0 || lseek(fd, 0, SEEK_SET) != 0)
        return error_errno(error, -errno, "cannot read the configuration");
    bytes = malloc((size_t)status.st_size + 1);
    if (!bytes)
        return error_errno(error, -ENOMEM, "cannot read the configuration");
    while (length < (size_t)status.st_size) {
        ssize_t got = read(fd, bytes + length, (size_t)status.st_size - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(error, -errno, "cannot read the configuration");
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return service_config_parse(bytes, length, ret_setup, error);
}
