/*
 * notify: the service manager: told how we fare, asked for sockets. notify_systemd.c
 * with libsystemd, notify_null.c without.
 */
#ifndef MW_MILTER_NOTIFY_H
#define MW_MILTER_NOTIFY_H

/* "READY=1", "RELOADING=1", "STOPPING=1", "WATCHDOG=1", as in sd_notify(3). */
void mw_notify(const char *state);

/* As READY=1 after a reload, which begins with mw_notify_reloading. */
void mw_notify_reloading(void);

/* Milliseconds between two WATCHDOG=1 that are in time; 0 when nobody waits for them. */
int mw_notify_watchdog_ms(void);

/* How many listening sockets were passed; they begin with *first. */
int mw_notify_sockets(int *first);

#endif
