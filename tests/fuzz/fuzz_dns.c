/* DNS messages from both sides: as a query of the jail (answered), and as the reply of an upstream.
 */
#include "service/resolver_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void query(const uint8_t *data, size_t size, const struct dns_answer *answer)
{
    static uint8_t out[DNS_MESSAGE_MAX];
    struct dns_query query = {0};
    struct dns_name name;
    char text[DNS_NAME_MAX];
    struct addr addr;
    size_t written;

    if (dns_query_parse(data, size, &query) < 0)
        return;
    written = dns_answer_write(&query, answer, query.udp_size, out);
    if (written > query.udp_size && written > DNS_UDP_MIN + DNS_NAME_MAX)
        abort();
    if (query.question_size == 0)
        return;
    (void)dns_name_address(&query.name, &addr); /* that it does not read too far is what matters */
    if (dns_name_text(&query.name, text) &&
        (!dns_name_from_text(text, &name) || !dns_name_equal(&name, &query.name)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dns_answer answer;
    static const uint8_t mixed[DNS_NAME_MAX / 8 + 1] = {0x5a};
    uint8_t question[DNS_UDP_MIN];
    struct dns_name name;
    size_t length;

    if (!dns_name_from_text("www.example.org", &name))
        abort();
    length = dns_question_write(0x4142, &name, DNS_TYPE_A, mixed, question);
    (void)dns_reply_match(question, length, data, size); /* any answer is one */
    if (!dns_reply_parse(data, size, &name, DNS_TYPE_A, &answer) || answer.chain_count == 0 ||
        answer.chain_count > DNS_CHAIN_MAX)
        answer = (struct dns_answer){0};
    query(data, size, &answer);
    return 0;
}
