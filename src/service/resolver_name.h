/* DNS names in wire form (RFC 1035 section 3.1), lower case, uncompressed. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 255

struct dns_name {
    uint8_t length; /* with the root's zero; 0: no name */
    uint8_t wire[DNS_NAME_MAX];
};

/* Takes an uncompressed name from the beginning of `bytes`; ASCII letters become small. Returns its
 * length there, or 0 when it is none. */
size_t dns_name_take(const uint8_t *bytes, size_t length, struct dns_name *ret_name);

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);

/* "www.example.org" without the trailing dot, if it is a host name (letters, digits, '-', '_'). */
bool dns_name_text(const struct dns_name *name, char text[DNS_NAME_MAX]);

/* The name of a text as dns_name_text() makes it; false when it is none. */
bool dns_name_from_text(const char *text, struct dns_name *ret_name);

/* The host in the name of one of its services: "example.org" in "_http._tcp.example.org" (RFC
 * 2782), into `text`. A name without such labels is its own. */
const char *dns_service_host(const char *text);
