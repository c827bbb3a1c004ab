/* What the files parse*.c share: the state of a parse and the small steps that it is made of. Every
 * step returns 0, or -EINVAL after it has reported an error; the statement then ends and the next
 * one is read. Private to src/policy/. */
#pragma once

#include "base/map.h"
#include "policy/lex.h"
#include "policy/policy.h"

#define TEXT_MAX       ((size_t)16 << 20)  /* bytes of a policy file */
#define LIST_TEXT_MAX  ((size_t)64 << 20)  /* of a file of `define NAME file`: 10^6 IPv6 prefixes */
#define LISTS_TEXT_MAX (4 * LIST_TEXT_MAX) /* of all of them */

enum define_kind {
    DEFINE_SET,
    DEFINE_PORTS,
    DEFINE_PARAM,  /* one value, given with -D */
    DEFINE_OPEN,   /* its own text is being read: it cannot name itself */
    DEFINE_BROKEN, /* its error is reported: uses of it say nothing more */
};

struct define {
    const char *name;
    enum define_kind kind;
    struct set set;
    struct ports ports;
    const char *value;
    struct position value_where; /* source 0: show the place of the use */
    struct position where;
};

/* A `-D NAME=VALUE`. */
struct given_value {
    const char *name;
    const char *value;
    struct position where;
    bool used;
    bool broken; /* its error is reported */
};

/* What outlives one text: later texts see the defines of earlier ones. */
struct policy_names {
    struct define *defines;
    size_t defines_count, defines_capacity;
    struct map defines_by_name;
    struct given_value *values;
    size_t values_count, values_capacity;
    size_t includes_count, includes_length; /* bytes */
    size_t lists_length;                    /* bytes of files of `define NAME file` */
    bool includes_refused;                  /* its error is reported */
    size_t items_count;                     /* of all sets together */
};

struct parser {
    struct policy *policy;
    struct diags *diags;
    struct arena *arena;
    const struct policy_reader *reader;
    struct lexer lexer;
    struct token token;        /* the one to be looked at next */
    struct position statement; /* the first word of the statement */
    struct position clause;    /* and of the statement inside its block */
    const char *path;          /* NULL: an option */
    const struct parser *includer;
    struct position include_where;
    unsigned depth; /* of includes */
    bool in_list_file;
};

/* One word with what it means. Tables are sorted by word. */
struct keyword {
    const char *word;
    int (*parse)(struct parser *parser, void *context); /* the word is already taken */
    int value;
};

struct keywords {
    const struct keyword *list;
    size_t count;
    const char *what; /* "protocol", for "unknown protocol 'tpc'" */
};
#define KEYWORDS(array, what_)                                                                     \
    (struct keywords)                                                                              \
    {                                                                                              \
        (array), sizeof(array) / sizeof((array)[0]), (what_)                                       \
    }

/* parse_util.c */

/* Reports and returns -EINVAL. `hint` may be NULL. */
int parser_error(struct parser *parser, struct position where, const char *hint, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
/* "NAME is given twice", with both places. */
int parser_error_twice(struct parser *parser, struct position where, struct position first,
                       const char *what);
/* "expected WHAT, not 'token'". */
int parser_expected(struct parser *parser, const char *what, const char *hint);
/* The text of a token for a message: in the arena, cut when long. */
const char *parser_quote(struct parser *parser, const char *text, size_t length);

void parser_advance(struct parser *parser);
bool parser_at_word(const struct parser *parser, const char *word);
bool parser_at_end(const struct parser *parser); /* of the statement */
bool parser_accept_word(struct parser *parser, const char *word);
int parser_expect_end(struct parser *parser);

/* Takes the current word, $PARAM expanded. The token's position stays that of the text. */
int parser_word(struct parser *parser, const char *what, struct token *ret_word);
/* The same as a string in the arena. */
int parser_string(struct parser *parser, const char *what, const char **ret_text);
/* "N/second [burst N]", also per minute and hour. */
int parser_rate(struct parser *parser, uint32_t usual_burst, struct rate *ret_rate);
/* A decimal number minimum..maximum. */
int parser_number(struct parser *parser, const char *what, uint64_t minimum, uint64_t maximum,
                  uint64_t *ret_number);
int number_parse(const char *text, size_t length, uint64_t maximum, uint64_t *ret_number);

/* The keyword of this word, or NULL without a message. */
const struct keyword *keyword_find(struct keywords keywords, const struct token *word);
/* Takes the current word as one of these; reports an unknown one with what is allowed. */
int parser_keyword(struct parser *parser, struct keywords keywords,
                   const struct keyword **ret_keyword);
int parser_unknown_keyword(struct parser *parser, struct keywords keywords,
                           const struct token *word);
/* `{ statement... }` of the clauses in `keywords`; nothing when there is no brace. */
int parser_block(struct parser *parser, struct keywords keywords, void *context);
/* Ends a failed statement: to the end of its line, or before the brace that closes its block. */
void parser_recover(struct parser *parser, unsigned depth);
/* `flag` set and `where` noted, or an error when it was set before. */
int parser_set_flag(struct parser *parser, bool *flag, struct position *where, struct position here,
                    const char *what);

/* parse_addr.c: words that are values. Each reports what is wrong with the word at `where`. */
int parse_addr_word(struct parser *parser, const struct token *word, struct addr *ret_addr);
int parse_prefix_word(struct parser *parser, const struct token *word, bool host_bits,
                      struct prefix *ret_prefix);
int parse_port_number(struct parser *parser, const struct token *word, const char *text,
                      size_t length, uint16_t *ret_port);
int parse_port_range(struct parser *parser, const struct token *word, const char *text,
                     size_t length, struct port_range *ret_range);
int parser_addr(struct parser *parser, struct addr *ret_addr);

/* parse_name.c: words that are names. */
int parser_ifname(struct parser *parser, const char *what, const char **ret_name);
int parser_jail_name(struct parser *parser, const char **ret_name);
int parse_dns_name(struct parser *parser, const struct token *word, const char *text, size_t length,
                   const char **ret_name);
/* Is the last part of it a number, decimal or hexadecimal? That is no name: programs take `0x7f.1`
 * for an address (inet_aton(3)) or refuse it ("ends in a number", URL Standard). */
bool name_ends_in_number(const char *text, size_t length);
bool word_is_reserved(const char *text, size_t length);
/* "web.jail": true and the length of "web". */
bool name_is_jail(const char *text, size_t length, size_t *ret_length);

/* parse_set.c */
int parser_set(struct parser *parser, const char *clause, struct set *set);
int parser_set_list(struct parser *parser, const char *clause, struct set *set);
int parse_set_value(struct parser *parser, const struct define *define, const char *clause,
                    struct set *set);
int parse_set_file(struct parser *parser, struct set *set);

/* parse_port.c */
int parser_ports(struct parser *parser, struct ports *ports);
int parser_ports_list(struct parser *parser, struct ports *ports);
int parse_ports_value(struct parser *parser, const struct define *define, struct ports *ports);

/* parse_define.c */
struct define *define_find(struct parser *parser, const char *name, size_t length);
int define_unknown(struct parser *parser, const struct token *word, const char *name,
                   size_t length);

/* For a use of a define that has no value: an error where it names itself, nothing more where its
 * own error has been reported. Returns -EINVAL. */
int define_refuse(struct parser *parser, const struct token *word, const struct define *define);
bool define_name_is_valid(const char *name, size_t length);
/* A parser over the value of a define or parameter. */
void define_value_parser(struct parser *parser, const struct define *define, struct position use,
                         struct parser *ret_parser);
int parse_define(struct parser *parser, void *context);
int parse_param(struct parser *parser, void *context);
void parse_values_add(struct policy *policy, struct diags *diags, const struct policy_value *values,
                      size_t values_count);

/* parse.c: does the word begin a statement? Then a list or block before it was perhaps not closed.
 */
bool word_is_statement(const struct token *word);

/* One per statement. */
int parse_allow(struct parser *parser, void *context);
int parse_capabilities(struct parser *parser, void *context);
int parse_default(struct parser *parser, void *context);
int parse_deny(struct parser *parser, void *context);
int parse_dns(struct parser *parser, void *context);
int parse_drop(struct parser *parser, void *context);
int parse_expose(struct parser *parser, void *context);
int parse_families(struct parser *parser, void *context);
int parse_forward(struct parser *parser, void *context);
int parse_limit(struct parser *parser, void *context);
int parse_link(struct parser *parser, void *context);
int parse_lo(struct parser *parser, void *context);
int parse_log(struct parser *parser, void *context);
int parse_namespaces(struct parser *parser, void *context);
int parse_network(struct parser *parser, void *context);
int parse_on_exit(struct parser *parser, void *context);
int parse_processes(struct parser *parser, void *context);
int parse_publish(struct parser *parser, void *context);
int parse_unix_sockets(struct parser *parser, void *context);
int parse_user(struct parser *parser, void *context);

/* `address`, shared by network, link and lo. */
int parse_address_value(struct parser *parser, struct link_address *ret_address);

extern const struct keywords direction_keywords;
extern const struct keywords verdict_keywords;
