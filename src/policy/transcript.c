/* The texts of a policy, written down while they are parsed, and parsed again elsewhere.
 *
 * The service asks policy_decide() about connections, so it needs the policy as data. A second
 * encoding of struct policy would be a second truth; the texts are the one there is. First comes
 * the number of records, then the records: values of -D first, then each text that was parsed, and
 * what the parser read meanwhile
 * (`include`, `define NAME file`) behind it, in the order of reading. A replay meets the same reads
 * in the same order, since parsing depends on nothing else.
 *
 * Pure. What must not happen: a replay that yields another policy than the first parse without
 * saying so; every name that is asked for is compared, and every record must have been used. */
#include "policy/transcript.h"

#include "policy/check.h"
#include "policy/relay.h"

#include <errno.h>
#include <string.h>

#define STRINGS_MAX 4
#define ABSENT      UINT64_MAX

enum transcript_kind {
    TRANSCRIPT_VALUE = 1, /* "NAME=VALUE" */
    TRANSCRIPT_TEXT,      /* name, path, text */
    TRANSCRIPT_OPTION,    /* the same, of the command line */
    TRANSCRIPT_READ,      /* from, name, path, text */
};

struct string {
    const char *text; /* NULL: absent */
    size_t length;
};

struct transcript_item {
    enum transcript_kind kind;
    struct string strings[STRINGS_MAX];
};

/* In the bytes: this, then the strings one after the other. */
struct transcript_header {
    uint64_t kind;
    uint64_t lengths[STRINGS_MAX];
};

static struct string string_of(const char *text)
{
    return (struct string){.text = text, .length = text ? strlen(text) : 0};
}

static void note(struct transcript *transcript, struct transcript_item item)
{
    *ARENA_PUSH(transcript->policy->arena, transcript, items) = item;
}

/* struct policy_reader: reads and notes. */
static int read_noting(void *context, const char *from, const char *name, const char **ret_path,
                       const char **ret_text, size_t *ret_length, struct error *error)
{
    struct transcript *transcript = context;
    const struct policy_reader *inner = &transcript->inner;
    int code = inner->read(inner->context, from, name, ret_path, ret_text, ret_length, error);

    if (code == 0)
        note(transcript, (struct transcript_item){TRANSCRIPT_READ,
                                                  {string_of(from),
                                                   string_of(name),
                                                   string_of(*ret_path),
                                                   {*ret_text, *ret_length}}});
    return code;
}

void transcript_begin(struct transcript *transcript, struct policy *policy, struct diags *diags,
                      struct policy_reader inner)
{
    *transcript = (struct transcript){.policy = policy, .diags = diags, .inner = inner};
    transcript->reader = (struct policy_reader){.read = read_noting, .context = transcript};
}

int transcript_value(struct transcript *transcript, const char *text)
{
    struct policy *policy = transcript->policy;
    const char *equals = strchr(text, '=');
    size_t value_at;
    size_t value_length;

    if (!equals || equals == text)
        return -EINVAL;
    value_at = (size_t)(equals + 1 - text);
    value_length = strlen(equals + 1);
    *ARENA_PUSH(policy->arena, transcript, values) = (struct policy_value){
        .name = arena_strndup(policy->arena, text, value_at - 1),
        .value = arena_strndup(policy->arena, equals + 1, value_length),
        .where = {.source = sources_add(&policy->sources, "option -D", text, strlen(text), true),
                  .line = 1,
                  .column = (uint32_t)value_at + 1,
                  .length = value_length ? (uint32_t)value_length : 1},
    };
    note(transcript, (struct transcript_item){TRANSCRIPT_VALUE, {string_of(text)}});
    return 0;
}

void transcript_parse(struct transcript *transcript, const char *name, const char *path,
                      const char *text, size_t length, bool is_option)
{
    note(transcript, (struct transcript_item){is_option ? TRANSCRIPT_OPTION : TRANSCRIPT_TEXT,
                                              {string_of(name), string_of(path), {text, length}}});
    (void)policy_parse(transcript->policy, transcript->diags, name, path, text, length, is_option,
                       &transcript->reader, transcript->values,
                       transcript->values_count); /* counted in the diags */
}

void transcript_write(const struct transcript *transcript, struct buf *out)
{
    uint64_t count = transcript->items_count;

    buf_append(out, &count, sizeof count);
    for (size_t i = 0; i < transcript->items_count; i++) {
        const struct transcript_item *item = &transcript->items[i];
        struct transcript_header header = {.kind = item->kind};

        for (size_t k = 0; k < STRINGS_MAX; k++)
            header.lengths[k] = item->strings[k].text ? item->strings[k].length : ABSENT;
        buf_append(out, &header, sizeof header);
        for (size_t k = 0; k < STRINGS_MAX; k++)
            if (item->strings[k].text)
                buf_append(out, item->strings[k].text, item->strings[k].length);
    }
}

/* A transcript that is being read. Strings are copied into the arena, which ends them with NUL. */
struct replay {
    const uint8_t *at;
    size_t left;
    uint64_t items_left;
    struct policy *policy;
};

/* The next record; false: there is none, or it is broken (then something is left). */
static bool replay_next(struct replay *replay, struct transcript_item *ret_item)
{
    struct transcript_header header;
    struct transcript_item item = {0};
    size_t used = sizeof header;

    if (replay->items_left == 0 || replay->left < sizeof header)
        return false;
    memcpy(&header, replay->at, sizeof header);
    if (header.kind < TRANSCRIPT_VALUE || header.kind > TRANSCRIPT_READ)
        return false;
    item.kind = (enum transcript_kind)header.kind;
    for (size_t i = 0; i < STRINGS_MAX; i++) {
        if (header.lengths[i] == ABSENT)
            continue;
        if (header.lengths[i] > replay->left - used)
            return false;
        item.strings[i].length = (size_t)header.lengths[i];
        item.strings[i].text = arena_strndup(replay->policy->arena, (const char *)replay->at + used,
                                             item.strings[i].length);
        used += item.strings[i].length;
    }
    replay->items_left--;
    replay->at += used;
    replay->left -= used;
    *ret_item = item;
    return true;
}

/* Both absent, or the same text. */
static bool string_is(const struct string *string, const char *text)
{
    if (!string->text || !text)
        return !string->text && !text;
    return strlen(text) == string->length && memcmp(string->text, text, string->length) == 0;
}

/* struct policy_reader: hands out what was read the first time. */
static int read_again(void *context, const char *from, const char *name, const char **ret_path,
                      const char **ret_text, size_t *ret_length, struct error *error)
{
    struct replay *replay = context;
    struct transcript_item item;

    if (!replay_next(replay, &item) || item.kind != TRANSCRIPT_READ ||
        !string_is(&item.strings[0], from) || !string_is(&item.strings[1], name) ||
        !item.strings[2].text || !item.strings[3].text)
        return error_set(error, -EINVAL, "'%s' was not read before", name);
    *ret_path = item.strings[2].text;
    *ret_text = item.strings[3].text;
    *ret_length = item.strings[3].length;
    return 0;
}

static bool item_is_complete(const struct transcript_item *item)
{
    if (item->kind == TRANSCRIPT_VALUE)
        return item->strings[0].text != NULL;
    return (item->kind == TRANSCRIPT_TEXT || item->kind == TRANSCRIPT_OPTION) &&
           item->strings[0].text && item->strings[2].text;
}

int transcript_replay(const void *bytes, size_t length, struct policy *policy, struct diags *diags,
                      struct error *error)
{
    struct replay replay = {.at = bytes, .left = length, .policy = policy};
    struct transcript again;
    struct transcript_item item;

    if (length < sizeof replay.items_left)
        return error_set(error, -EINVAL, "the policy's texts are cut off");
    memcpy(&replay.items_left, bytes, sizeof replay.items_left);
    replay.at += sizeof replay.items_left;
    replay.left -= sizeof replay.items_left;
    transcript_begin(&again, policy, diags,
                     (struct policy_reader){.read = read_again, .context = &replay});
    while (replay_next(&replay, &item)) {
        if (!item_is_complete(&item))
            return error_set(error, -EINVAL, "the policy's texts are out of order");
        if (item.kind == TRANSCRIPT_VALUE) {
            if (transcript_value(&again, item.strings[0].text) < 0)
                return error_set(error, -EINVAL, "a value of the policy is none");
            continue;
        }
        transcript_parse(&again, item.strings[0].text, item.strings[1].text, item.strings[2].text,
                         item.strings[2].length, item.kind == TRANSCRIPT_OPTION);
    }
    if (replay.left > 0 || replay.items_left > 0)
        return error_set(error, -EINVAL, "the policy's texts are cut off or malformed");
    if (policy_check(policy, diags) < 0)
        return error_set(error, -EINVAL, "the policy has an error when it is read again: %.300s",
                         diags->list_count > 0 ? diags->list[0].text : "");
    return 0;
}

bool policy_asks_service(const struct policy *policy)
{
    return policy->needs_resolver || policy_relays(policy);
}
