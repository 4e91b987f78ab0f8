/*
 * address: HOST:PORT as people write it. An IPv6 address stands in brackets, or nobody could
 * tell where its port begins.
 */
#ifndef MW_CORE_ADDRESS_H
#define MW_CORE_ADDRESS_H

#include <stdbool.h>

enum { MW_HOST_SIZE = 256, MW_PORT_SIZE = 6 };

/* Takes HOST:PORT or [HOST]:PORT apart; false when text is neither. The host is a name or an
 * address of at most 255 bytes, which nobody has looked at; the port is a number. */
bool mw_address_split(const char *text, char host[MW_HOST_SIZE], char port[MW_PORT_SIZE]);

/* Whether text is a number up to 65535, in at most five digits. */
bool mw_address_is_port(const char *text);

#endif
