/* Reading a record: the text is hostile, since what it says is undone with privilege.
 *
 * One statement per line, words separated by single spaces, a last line `end` (a file that was cut
 * is refused). Pure. What must not happen: a path, name, group or set that netjail would not have
 * written itself; each is checked against what it can be. */
#include "base/cleanup.h"
#include "plan/host_tables.h"
#include "plan/record_text.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define WORDS_MAX 16

struct word {
    const char *text;
    size_t length;
};

struct line {
    struct word words[WORDS_MAX];
    size_t count;
};

struct reader {
    struct record *record;
    bool ended;
};

/* A statement: its keyword is words[0]; `count` is that of all words. */
struct statement {
    const char *keyword;
    size_t count;
    bool (*read)(struct reader *reader, const struct word *words);
};

static bool word_is(const struct word *word, const char *text)
{
    return strlen(text) == word->length && memcmp(word->text, text, word->length) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text of a word, with %XX taken back; at most size - 1 bytes, no NUL. */
static bool word_text(const struct word *word, char *text, size_t size)
{
    size_t used = 0;

    memset(text, 0, size);
    if (word_is(word, "-"))
        return true;
    for (size_t i = 0; i < word->length; i++) {
        int byte = (unsigned char)word->text[i];

        if (byte == '%') {
            int high = i + 2 < word->length ? hex_digit(word->text[i + 1]) : -1;
            int low = i + 2 < word->length ? hex_digit(word->text[i + 2]) : -1;

            byte = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (byte == 0 || used + 1 >= size)
            return false;
        text[used++] = (char)byte;
    }
    return true;
}

static bool word_number(const struct word *word, uint64_t maximum, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (word->length == 0 || word->length > 20)
        return false;
    for (size_t i = 0; i < word->length; i++) {
        unsigned digit = (unsigned)(word->text[i] - '0');

        if (word->text[i] < '0' || digit > 9 || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (number > maximum)
        return false;
    *ret_number = number;
    return true;
}

/* An interface name as the kernel takes it (dev_valid_name()), and nothing that hurts in a path. */
static bool ifname_valid(const char *name)
{
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || *name == '/' || *name == ':')
            return false;
    return true;
}

static bool word_ifname(const struct word *word, bool may_be_empty, char name[IFNAME_SIZE])
{
    return word_text(word, name, IFNAME_SIZE) && (ifname_valid(name) || (may_be_empty && !*name));
}

bool sysctl_path_interface(const char *path, char ret_interface[IFNAME_SIZE])
{
    static const char *const kinds[][2] = {
        {"net/ipv4/conf/", "forwarding"},       {"net/ipv6/conf/", "forwarding"},
        {"net/ipv6/conf/", "force_forwarding"}, {"net/ipv6/conf/", "accept_ra"},
        {"net/ipv6/conf/", "accept_dad"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        size_t start = strlen(kinds[i][0]);
        char name[IFNAME_SIZE] = {0};
        const char *end;

        if (strncmp(path, kinds[i][0], start) != 0)
            continue;
        end = strchr(path + start, '/');
        if (!end || strcmp(end + 1, kinds[i][1]) != 0 || end - (path + start) > IFNAME_MAX)
            continue;
        memcpy(name, path + start, (size_t)(end - (path + start)));
        if (!ifname_valid(name))
            continue;
        memcpy(ret_interface, name, sizeof name);
        return true;
    }
    return false;
}

static bool read_name(struct reader *reader, const struct word *words)
{
    char *name = reader->record->name;

    if (!word_text(&words[1], name, JAIL_NAME_MAX + 1) || !*name || *name == '.' || *name == '-')
        return false;
    for (; *name; name++)
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9') || *name == '.' || *name == '_' || *name == '-'))
            return false;
    return true;
}

static bool read_pid(struct reader *reader, const struct word *words)
{
    uint64_t number;

    if (!word_number(&words[1], INT32_MAX, &number))
        return false;
    reader->record->pid = (int32_t)number;
    return true;
}

static bool read_pid_start(struct reader *reader, const struct word *words)
{
    return word_number(&words[1], UINT64_MAX, &reader->record->pid_start);
}

static bool read_uid(struct reader *reader, const struct word *words)
{
    uint64_t number;

    if (!word_number(&words[1], UINT32_MAX, &number))
        return false;
    reader->record->uid = (uint32_t)number;
    return true;
}

static bool read_started(struct reader *reader, const struct word *words)
{
    return word_number(&words[1], UINT64_MAX, &reader->record->started_s);
}

static bool read_cookie(struct reader *reader, const struct word *words)
{
    return word_number(&words[1], UINT64_MAX, &reader->record->netns_cookie);
}

static bool read_inode(struct reader *reader, const struct word *words)
{
    return word_number(&words[1], UINT64_MAX, &reader->record->netns_inode);
}

static bool read_state(struct reader *reader, const struct word *words)
{
    reader->record->state = word_is(&words[1], "ending") ? RECORD_ENDING : RECORD_RUNNING;
    return word_is(&words[1], "ending") || word_is(&words[1], "running");
}

static bool read_string(struct reader *reader, const struct word *word, const char **ret_text)
{
    char *text = arena_alloc(reader->record->arena, word->length + 1);

    if (!word_text(word, text, word->length + 1))
        return false;
    *ret_text = text;
    return true;
}

static bool read_policy(struct reader *reader, const struct word *words)
{
    return read_string(reader, &words[1], &reader->record->policy);
}

static bool read_command(struct reader *reader, const struct word *words)
{
    return read_string(reader, &words[1], &reader->record->command);
}

static bool read_network(struct reader *reader, const struct word *words)
{
    struct record_network *network = ARENA_PUSH(reader->record->arena, reader->record, networks);

    network->external = word_is(&words[2], "external");
    network->uses_forwarding = word_is(&words[3], "forwarding");
    return word_ifname(&words[1], false, network->name) &&
           (network->external || word_is(&words[2], "own")) &&
           (network->uses_forwarding || word_is(&words[3], "local")) &&
           word_text(&words[4], network->where, sizeof network->where) &&
           word_text(&words[5], network->text, sizeof network->text);
}

static bool read_address(struct reader *reader, const struct word *words)
{
    struct record_address *address = ARENA_PUSH(reader->record->arena, reader->record, addresses);

    return word_ifname(&words[1], true, address->network) &&
           word_ifname(&words[2], false, address->ifname) &&
           prefix_parse(words[3].text, words[3].length, &address->prefix) == 0;
}

static bool read_publish(struct reader *reader, const struct word *words)
{
    struct record_publish *publish = ARENA_PUSH(reader->record->arena, reader->record, publishes);
    uint64_t port;
    uint64_t jail_port;

    publish->protocol = word_is(&words[1], "tcp") ? IPPROTO_TCP : IPPROTO_UDP;
    if (!word_is(&words[1], "tcp") && !word_is(&words[1], "udp"))
        return false;
    if (word_is(&words[2], "loopback"))
        publish->kind = PUBLISH_LOOPBACK;
    else if (word_is(&words[2], "any"))
        publish->kind = PUBLISH_ANY;
    else if (word_is(&words[2], "address"))
        publish->kind = PUBLISH_ADDRESS;
    else
        return false;
    if (addr_parse(words[3].text, words[3].length, &publish->addr) < 0 ||
        !word_number(&words[4], UINT16_MAX, &port) ||
        !word_number(&words[5], UINT16_MAX, &jail_port))
        return false;
    publish->port = (uint16_t)port;
    publish->jail_port = (uint16_t)jail_port;
    return true;
}

static bool read_sysctl(struct reader *reader, const struct word *words)
{
    struct record_sysctl *sysctl = ARENA_PUSH(reader->record->arena, reader->record, sysctls);
    char interface[IFNAME_SIZE];
    uint64_t number;

    return word_text(&words[1], sysctl->path, sizeof sysctl->path) &&
           sysctl_path_interface(sysctl->path, interface) &&
           word_number(&words[2], INT32_MAX, &number) &&
           word_number(&words[3], INT32_MAX, &number) &&
           word_text(&words[2], sysctl->was, sizeof sysctl->was) &&
           word_text(&words[3], sysctl->ours, sizeof sysctl->ours);
}

static bool read_link(struct reader *reader, const struct word *words)
{
    struct record_link *link = ARENA_PUSH(reader->record->arena, reader->record, links);

    link->group = word_is(&words[2], "cable") ? GROUP_CABLE : GROUP_PORT;
    return word_ifname(&words[1], false, link->name) &&
           (word_is(&words[2], "cable") || word_is(&words[2], "port"));
}

static bool read_bytes(const struct word *word, uint8_t *bytes, size_t length)
{
    if (word->length != length * 2)
        return false;
    for (size_t i = 0; i < length; i++) {
        int high = hex_digit(word->text[2 * i]);
        int low = hex_digit(word->text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* Key and kind are not taken from the text: they are what the shared tables say about the set. */
static bool read_element(struct reader *reader, const struct word *words)
{
    struct record_element *element = ARENA_PUSH(reader->record->arena, reader->record, elements);
    const struct set_definition *set;
    char name[NFT_NAME_SIZE];

    element->family = word_is(&words[1], "inet") ? NFT_INET : NFT_BRIDGE;
    if ((!word_is(&words[1], "inet") && !word_is(&words[1], "bridge")) ||
        !word_text(&words[2], name, sizeof name))
        return false;
    set = host_set_find(element->family, name);
    if (!set)
        return false;
    memcpy(element->set, set->name, sizeof element->set);
    element->key = set->key;
    element->is_interval = set->is_interval;
    element->length = (uint8_t)(nft_key_size(&set->key) * (set->is_interval ? 2 : 1));
    element->is_shared = word_is(&words[3], "shared");
    return (element->is_shared || word_is(&words[3], "own")) &&
           word_ifname(&words[4], true, element->network) &&
           read_bytes(&words[5], element->bytes, element->length);
}

static bool read_docker(struct reader *reader, const struct word *words)
{
    struct record_docker *docker = ARENA_PUSH(reader->record->arena, reader->record, dockers);

    docker->family = word_is(&words[1], "ip") ? ADDR_V4 : ADDR_V6;
    return (word_is(&words[1], "ip") || word_is(&words[1], "ip6")) &&
           word_ifname(&words[2], false, docker->ifname);
}

static bool read_host_tables(struct reader *reader, const struct word *words)
{
    (void)words; /* it has only its keyword */
    reader->record->uses_host_tables = true;
    return true;
}

static bool read_log(struct reader *reader, const struct word *words)
{
    return read_string(reader, &words[1], &reader->record->log);
}

static bool read_rules(struct reader *reader, const struct word *words)
{
    reader->record->has_no_rules = true;
    return word_is(&words[1], "none");
}

static bool read_named(struct reader *reader, const struct word *words)
{
    reader->record->is_named = true;
    return word_number(&words[1], UINT64_MAX, &reader->record->jail_inode);
}

static bool read_kept(struct reader *reader, const struct word *words)
{
    return word_number(&words[1], UINT64_MAX, &reader->record->kept_inode);
}

static bool word_u32(const struct word *word, uint32_t *ret_number)
{
    uint64_t number;

    if (!word_number(word, UINT32_MAX, &number))
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool word_u8(const struct word *word, uint8_t *ret_number)
{
    uint64_t number;

    if (!word_number(word, UINT8_MAX, &number))
        return false;
    *ret_number = (uint8_t)number;
    return true;
}

static bool word_addr(const struct word *word, struct addr *ret_addr)
{
    return word_is(word, "-") || addr_parse(word->text, word->length, ret_addr) == 0;
}

static bool read_device(struct reader *reader, const struct word *words)
{
    struct record_device *device = ARENA_PUSH(reader->record->arena, reader->record, devices);

    device->was_up = word_is(&words[4], "up");
    return word_ifname(&words[1], false, device->name) &&
           word_ifname(&words[2], false, device->jail_name) &&
           word_text(&words[3], device->alias, sizeof device->alias) &&
           (device->was_up || word_is(&words[4], "down")) && word_u32(&words[5], &device->group) &&
           word_u32(&words[6], &device->mtu) &&
           word_number(&words[7], UINT64_MAX, &device->noted_s);
}

static bool read_device_address(struct reader *reader, const struct word *words)
{
    struct record_device_address *a =
        ARENA_PUSH(reader->record->arena, reader->record, device_addresses);

    return word_ifname(&words[1], false, a->device) &&
           prefix_parse(words[2].text, words[2].length, &a->prefix) == 0 &&
           word_addr(&words[3], &a->peer) && word_addr(&words[4], &a->broadcast) &&
           word_text(&words[5], a->label, sizeof a->label) && word_u8(&words[6], &a->scope) &&
           word_u8(&words[7], &a->protocol) && word_u32(&words[8], &a->flags) &&
           word_u32(&words[9], &a->preferred_s) && word_u32(&words[10], &a->valid_s) &&
           word_u32(&words[11], &a->metric);
}

static bool read_metrics(const struct word *word, uint32_t metrics[ROUTE_METRICS])
{
    uint8_t bytes[4 * ROUTE_METRICS];

    if (!read_bytes(word, bytes, sizeof bytes))
        return false;
    for (size_t i = 0; i < ROUTE_METRICS; i++)
        metrics[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 |
                     (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
    return true;
}

static bool read_device_route(struct reader *reader, const struct word *words)
{
    struct record_device_route *r =
        ARENA_PUSH(reader->record->arena, reader->record, device_routes);

    return word_ifname(&words[1], false, r->device) &&
           prefix_parse(words[2].text, words[2].length, &r->prefix) == 0 &&
           (word_is(&words[3], "-") ||
            prefix_parse(words[3].text, words[3].length, &r->source) == 0) &&
           word_addr(&words[4], &r->via) && word_addr(&words[5], &r->prefsrc) &&
           word_u32(&words[6], &r->table) && word_u8(&words[7], &r->protocol) &&
           word_u8(&words[8], &r->scope) && word_u8(&words[9], &r->type) &&
           word_u8(&words[10], &r->tos) && word_u8(&words[11], &r->preference) &&
           word_u32(&words[12], &r->flags) && word_u32(&words[13], &r->metric) &&
           read_metrics(&words[14], r->metrics);
}

/* Paths that are made of it are looked at when they are opened, see kernel/sysctl.c. */
static bool read_device_setting(struct reader *reader, const struct word *words)
{
    struct record_device_setting *s =
        ARENA_PUSH(reader->record->arena, reader->record, device_settings);

    return word_ifname(&words[1], false, s->device) &&
           word_text(&words[2], s->directory, sizeof s->directory) && s->directory[0] &&
           word_text(&words[3], s->name, sizeof s->name) && s->name[0] &&
           word_text(&words[4], s->value, sizeof s->value);
}

static bool read_end(struct reader *reader, const struct word *words)
{
    (void)words; /* it has only its keyword */
    reader->ended = true;
    return true;
}

static const struct statement statements[] = {
    {"address", 4, read_address},
    {"command", 2, read_command},
    {"device", 8, read_device},
    {"device-address", 12, read_device_address},
    {"device-route", 15, read_device_route},
    {"device-setting", 5, read_device_setting},
    {"docker", 3, read_docker},
    {"element", 6, read_element},
    {"end", 1, read_end},
    {"host-tables", 1, read_host_tables},
    {"kept", 2, read_kept},
    {"link", 3, read_link},
    {"log", 2, read_log},
    {"name", 2, read_name},
    {"named", 2, read_named},
    {"netns-cookie", 2, read_cookie},
    {"netns-inode", 2, read_inode},
    {"network", 6, read_network},
    {"pid", 2, read_pid},
    {"pid-start", 2, read_pid_start},
    {"policy", 2, read_policy},
    {"publish", 6, read_publish},
    {"rules", 2, read_rules},
    {"started", 2, read_started},
    {"state", 2, read_state},
    {"sysctl", 4, read_sysctl},
    {"uid", 2, read_uid},
};

static bool split_line(const char *text, size_t length, struct line *line)
{
    size_t start = 0;

    line->count = 0;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != ' ')
            continue;
        if (i == start || line->count == WORDS_MAX)
            return false;
        line->words[line->count++] = (struct word){text + start, i - start};
        start = i + 1;
    }
    return true;
}

static bool read_line(struct reader *reader, const char *text, size_t length)
{
    struct line line;

    if (reader->ended || !split_line(text, length, &line))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(statements); i++)
        if (word_is(&line.words[0], statements[i].keyword))
            return line.count == statements[i].count && statements[i].read(reader, line.words);
    return false;
}

static int read_lines(struct reader *reader, const char *text, size_t length, struct error *error)
{
    size_t number = 0;

    for (size_t start = 0; start < length;) {
        const char *newline = memchr(text + start, '\n', length - start);
        size_t end = newline ? (size_t)(newline - text) : length;
        struct word header = {text + start, end - start};

        number++;
        if (!newline)
            return error_set(error, -EINVAL, "record: line %zu is cut", number);
        if (number == 1 ? !word_is(&header, RECORD_HEADER)
                        : !read_line(reader, text + start, end - start))
            return error_set(error, -EINVAL, "record: line %zu makes no sense", number);
        start = end + 1;
    }
    if (!reader->ended || !reader->record->name[0])
        return error_set(error, -EINVAL, "record: it is incomplete");
    return 0;
}

int record_parse(const char *text, size_t length, struct record **ret_record, struct error *error)
{
    struct reader reader = {.record = record_new()};
    int code = read_lines(&reader, text, length, error);

    if (code < 0) {
        record_free(reader.record);
        return code;
    }
    *ret_record = reader.record;
    return 0;
}
