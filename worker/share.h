/*
 * share: memory that children will share, made cheap to share.
 */
#ifndef MW_WORKER_SHARE_H
#define MW_WORKER_SHARE_H

/*
 * Asks the kernel to lay this process's own memory into large pages (MADV_COLLAPSE, Linux
 * 6.1), so that fork(2) has fewer entries to copy: worth it for engines of hundreds of MB
 * of which workers are forked. Where it cannot be had nothing changes.
 */
void mw_share_memory(void);

#endif
