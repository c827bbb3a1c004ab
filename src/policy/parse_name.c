/* Words that are names: interfaces, jails, DNS names; and the words that may not be names because
 * they would make a policy read ambiguously. No system call, no privilege. */
#include "base/cleanup.h"
#include "policy/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Every keyword of the language, sorted. */
static const char *const reserved_words[] = {
    "address",      "allow",       "any",        "bridge",    "broadcast", "burst",
    "capabilities", "connections", "default",    "define",    "denied",    "deny",
    "device",       "direct",      "dns",        "drop",      "expose",    "external",
    "families",     "file",        "forward",    "from",      "gateway",   "host",
    "host-name",    "icmp",        "icmpv6",     "in",        "include",   "ipvlan",
    "isolate",      "jail",        "join",       "json",      "keep",      "limit",
    "link",         "link-local",  "lo",         "log",       "mac",       "macvlan",
    "metadata",     "mode",        "mtu",        "multicast", "name",      "namespaces",
    "nat",          "network",     "none",       "on-exit",   "out",       "param",
    "peer-address", "peer-name",   "peer-route", "port",      "ports",     "preserve-source",
    "private",      "processes",   "publish",    "rate",      "record",    "relay",
    "route",        "sctp",        "search",     "tcp",       "to",        "udp",
    "unix-sockets", "upstream",    "user",       "veth",      "via",
};

bool word_is_reserved(const char *text, size_t length)
{
    for (size_t i = 0; i < ARRAY_LENGTH(reserved_words); i++) {
        if (strlen(reserved_words[i]) == length && memcmp(reserved_words[i], text, length) == 0)
            return true;
    }
    return false;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int reserved_error(struct parser *parser, const struct token *word, const char *what)
{
    return parser_error(parser, word->where, "choose another name",
                        "'%.*s' is a word of the policy language and cannot be %s",
                        (int)word->length, word->text, what);
}

/* Why a name cannot be an interface name (dev_valid_name() in the kernel), or NULL. '%' would be
 * taken as a pattern, and ':' as an alias. */
static const char *ifname_fault(const char *text, size_t length)
{
    if (length > IFNAME_MAX)
        return "at most 15 bytes";
    if ((length == 1 && text[0] == '.') || (length == 2 && memcmp(text, "..", 2) == 0))
        return "'.' and '..' are no names";
    for (size_t i = 0; i < length; i++) {
        if (!is_alnum(text[i]) && !strchr("._-+@=", text[i]))
            return "letters, digits and . _ - only";
    }
    return text[0] == '-' ? "a name cannot begin with '-'" : NULL;
}

int parser_ifname(struct parser *parser, const char *what, const char **ret_name)
{
    struct token word;
    const char *fault;

    if (parser_word(parser, what, &word) < 0)
        return -EINVAL;
    fault = ifname_fault(word.text, word.length);
    if (fault)
        return parser_error(parser, word.where, fault, "%s cannot be '%s'", what,
                            parser_quote(parser, word.text, word.length));
    if (word_is_reserved(word.text, word.length))
        return reserved_error(parser, &word, what);
    *ret_name = arena_strndup(parser->arena, word.text, word.length);
    return 0;
}

static const char *jail_name_fault(const char *text, size_t length)
{
    if (length > JAIL_NAME_MAX)
        return "at most 63 bytes";
    if (!is_alnum(text[0]))
        return "it must begin with a letter or digit";
    for (size_t i = 0; i < length; i++) {
        if (!is_alnum(text[i]) && !strchr("._-", text[i]))
            return "letters, digits and . _ - only";
    }
    return NULL;
}

int parser_jail_name(struct parser *parser, const char **ret_name)
{
    struct token word;
    const char *fault;

    if (parser_word(parser, "the name of a jail", &word) < 0)
        return -EINVAL;
    fault = jail_name_fault(word.text, word.length);
    if (fault)
        return parser_error(parser, word.where, fault, "the name of a jail cannot be '%s'",
                            parser_quote(parser, word.text, word.length));
    if (word_is_reserved(word.text, word.length))
        return reserved_error(parser, &word, "the name of a jail");
    *ret_name = arena_strndup(parser->arena, word.text, word.length);
    return 0;
}

bool name_is_jail(const char *text, size_t length, size_t *ret_length)
{
    static const char suffix[] = ".jail";
    size_t suffix_length = sizeof suffix - 1;

    if (length > 0 && text[length - 1] == '.')
        length--;
    if (length <= suffix_length || memcmp(text + length - suffix_length, suffix, suffix_length))
        return false;
    *ret_length = length - suffix_length;
    return true;
}

bool name_ends_in_number(const char *text, size_t length)
{
    const char *dot = memrchr(text, '.', length);
    const char *last = dot ? dot + 1 : text;
    size_t left = length - (size_t)(last - text);
    const char *digits = "0123456789";

    if (left == 0)
        return false;
    if (left >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X')) {
        digits = "0123456789abcdefABCDEF";
        last += 2;
    }
    while (last < text + length && strchr(digits, *last))
        last++;
    return last == text + length;
}

/* Why the text is no host name (RFC 1035 section 2.3.1, RFC 1123 section 2.1; '_' is used by
 * service names), or NULL. */
static const char *dns_name_fault(const char *text, size_t length)
{
    size_t label = 0;

    if (length > 253)
        return "a name has at most 253 characters";
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return "a part of the name is empty";
            label = 0;
            continue;
        }
        if ((unsigned char)text[i] >= 0x80)
            return "write an international name in its ASCII form (xn--...)";
        if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_')
            return "letters, digits, '-' and '.' only";
        if (text[i] == '-' && (label == 0 || i + 1 == length || text[i + 1] == '.'))
            return "a part of the name cannot begin or end with '-'";
        if (++label > 63)
            return "a part of the name has at most 63 characters";
    }
    if (label == 0)
        return "a part of the name is empty";
    return name_ends_in_number(text, length)
               ? "a name does not end in a number; an IPv4 address is written as 192.0.2.1"
               : NULL;
}

int parse_dns_name(struct parser *parser, const struct token *word, const char *text, size_t length,
                   const char **ret_name)
{
    const char *fault;
    char *name;

    if (length > 1 && text[length - 1] == '.')
        length--;
    fault = dns_name_fault(text, length);
    if (fault)
        return parser_error(parser, word->where, fault, "'%s' is not a DNS name",
                            parser_quote(parser, text, length));
    name = arena_strndup(parser->arena, text, length);
    for (size_t i = 0; i < length; i++) {
        if (name[i] >= 'A' && name[i] <= 'Z')
            name[i] = (char)(name[i] - 'A' + 'a');
    }
    *ret_name = name;
    return 0;
}
