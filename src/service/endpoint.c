/* struct addr to struct sockaddr, and the way to close a connection that failed. No privilege. */
#include "service/endpoint.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

struct endpoint endpoint_of(const struct addr *addr, uint16_t port)
{
    struct endpoint endpoint;

    memset(&endpoint, 0, sizeof endpoint);
    if (addr->family == ADDR_V4) {
        endpoint.v4.sin_family = AF_INET;
        endpoint.v4.sin_port = htons(port);
        memcpy(&endpoint.v4.sin_addr, addr->bytes, sizeof endpoint.v4.sin_addr);
        endpoint.length = sizeof endpoint.v4;
    } else {
        endpoint.v6.sin6_family = AF_INET6;
        endpoint.v6.sin6_port = htons(port);
        memcpy(&endpoint.v6.sin6_addr, addr->bytes, sizeof endpoint.v6.sin6_addr);
        endpoint.length = sizeof endpoint.v6;
    }
    return endpoint;
}

void endpoint_reset(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    /* Where it fails the connection ends with a FIN, which is as closed. */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd); /* nothing is written behind it */
}
