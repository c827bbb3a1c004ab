/* The parts of ldns that are never asked for, left out.
 *
 * netjail-service only takes messages apart. In the archive of ldns, text forms of records and
 * DNSSEC hang on that, and on those hangs libcrypto, whose loading costs more than making the jail.
 * The functions below are all that ties the one to the other. They are weak: where another version
 * of ldns needs the real ones, the linker takes these from the archive, with libcrypto. Linked
 * before the archive. What must not happen: one of them called; each says "not supported". */
#include <ldns/ldns.h>
#include <openssl/rand.h>

#define LEFT_OUT __attribute__((weak))

#define NO_TEXT(name)                                                                              \
    LEFT_OUT ldns_status ldns_str2rdf_##name(ldns_rdf **rd, const char *str)                       \
    {                                                                                              \
        (void)rd;                                                                                  \
        (void)str;                                                                                 \
        return LDNS_STATUS_ERR;                                                                    \
    }

NO_TEXT(a)
NO_TEXT(aaaa)
NO_TEXT(alg)
NO_TEXT(amtrelay)
NO_TEXT(apl)
NO_TEXT(atma)
NO_TEXT(b32_ext)
NO_TEXT(b64)
NO_TEXT(cert_alg)
NO_TEXT(certificate_usage)
NO_TEXT(class)
NO_TEXT(dname)
NO_TEXT(eui48)
NO_TEXT(eui64)
NO_TEXT(hex)
NO_TEXT(hip)
NO_TEXT(ilnp64)
NO_TEXT(int16)
NO_TEXT(int32)
NO_TEXT(int8)
NO_TEXT(ipseckey)
NO_TEXT(loc)
NO_TEXT(long_str)
NO_TEXT(matching_type)
NO_TEXT(nsap)
NO_TEXT(nsec)
NO_TEXT(nsec3_salt)
NO_TEXT(period)
NO_TEXT(selector)
NO_TEXT(service)
NO_TEXT(str)
NO_TEXT(svcparams)
NO_TEXT(tag)
NO_TEXT(time)
NO_TEXT(type)
NO_TEXT(unknown)
NO_TEXT(wks)

LEFT_OUT char *ldns_rdf2str(const ldns_rdf *rdf)
{
    (void)rdf;
    return NULL;
}

LEFT_OUT ldns_rr *ldns_key_rr2ds(const ldns_rr *key, ldns_hash h)
{
    (void)key;
    (void)h;
    return NULL;
}

LEFT_OUT ssize_t ldns_fget_token_l(FILE *f, char *token, const char *delim, size_t limit,
                                   int *line_nr)
{
    (void)f;
    (void)token;
    (void)delim;
    (void)limit;
    (void)line_nr;
    return -1;
}

LEFT_OUT ldns_status ldns_fget_token_l_st(FILE *f, char **token, size_t *limit, bool fixed,
                                          const char *delim, int *line_nr)
{
    (void)f;
    (void)token;
    (void)limit;
    (void)fixed;
    (void)delim;
    (void)line_nr;
    return LDNS_STATUS_ERR;
}

LEFT_OUT ssize_t ldns_bget_token(ldns_buffer *b, char *token, const char *delim, size_t limit)
{
    (void)b;
    (void)token;
    (void)delim;
    (void)limit;
    return -1;
}

LEFT_OUT ldns_lookup_table ldns_rr_classes[] = {{0, NULL}};

LEFT_OUT int RAND_bytes(unsigned char *buf, int num)
{
    (void)buf;
    (void)num;
    return 0;
}

LEFT_OUT void RAND_seed(const void *buf, int num)
{
    (void)buf;
    (void)num;
}
