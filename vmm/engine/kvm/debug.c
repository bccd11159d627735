/* debug.c: breakpoints in memory, and harts that are alone in the guest, on any architecture.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/engine/kvm/debug.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct kvm_debug *kvm_debug_make(uint16_t trap, unsigned width)
{
    struct kvm_debug *d = calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    d->trap = trap;
    d->width = width;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
    return d;
}

void kvm_debug_free(struct kvm_debug *d)
{
    if (!d)
        return;
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* --- code --- */

/* The guest's code, which its next fetch finds on every processor. Little endian, as guests. */
static void code_write(const struct kvm_debug *d, uint8_t *host, uint16_t value)
{
    memcpy(host, &value, d->width);
    __builtin___clear_cache((char *)host, (char *)host + d->width);
}

static uint16_t code_read(const struct kvm_debug *d, const uint8_t *host)
{
    uint16_t value = 0;

    memcpy(&value, host, d->width);
    return value;
}

/* --- breakpoints --- */

static struct kvm_break *break_find(struct kvm_debug *d, const uint8_t *host)
{
    for (unsigned i = 0; i < KVM_BREAKS_MAX; i++)
        if (d->place[i].host == host)
            return &d->place[i];
    return NULL;
}

static int break_make(struct kvm_debug *d, uint8_t *host)
{
    struct kvm_break *b = break_find(d, NULL);

    if (!b)
        return -ENOSPC;
    *b = (struct kvm_break){.host = host, .kept = code_read(d, host)};
    code_write(d, host, d->trap);
    return 0;
}

int kvm_break_set(struct kvm_debug *d, struct vm *vm, gpa_t gpa, bool set)
{
    uint8_t *host = gpa % d->width ? NULL : mem_ptr(&vm->mem, gpa, d->width);
    struct kvm_break *b;
    int rc = 0;

    if (!host)
        return -EINVAL;
    pthread_mutex_lock(&d->lock);
    while (d->alone) /* it may have lifted this one */
        pthread_cond_wait(&d->changed, &d->lock);
    b = break_find(d, host);
    if (set) {
        rc = b ? -EEXIST : break_make(d, host);
    } else if (b) {
        code_write(d, host, b->kept);
        b->host = NULL;
    } else {
        rc = -ENOENT;
    }
    pthread_mutex_unlock(&d->lock);
    return rc;
}

bool kvm_break_at(struct kvm_debug *d, const uint8_t *host)
{
    bool there;

    pthread_mutex_lock(&d->lock);
    there = host && break_find(d, host);
    pthread_mutex_unlock(&d->lock);
    return there;
}

/* --- who is in the guest --- */

void kvm_debug_enter(struct kvm_debug *d)
{
    pthread_mutex_lock(&d->lock);
    while (d->alone)
        pthread_cond_wait(&d->changed, &d->lock);
    d->inside++;
    pthread_mutex_unlock(&d->lock);
}

void kvm_debug_leave(struct kvm_debug *d)
{
    pthread_mutex_lock(&d->lock);
    d->inside--;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/*
 * Nobody waits for a hart that waits here: it is in no KVM_RUN. A hart that has counted itself
 * as inside is kicked after that, so its KVM_RUN ends (kvm_run).
 */
void kvm_alone_begin(struct kvm_debug *d, struct hart *hart)
{
    struct vm *vm = hart->vm;

    pthread_mutex_lock(&d->lock);
    while (d->alone)
        pthread_cond_wait(&d->changed, &d->lock);
    d->alone = hart;
    for (unsigned i = 0; d->inside > 0 && i < vm->nharts; i++)
        if (&vm->hart[i] != hart)
            vm->engine->kick(&vm->hart[i]);
    while (d->inside > 0)
        pthread_cond_wait(&d->changed, &d->lock);
    pthread_mutex_unlock(&d->lock);
}

void kvm_alone_end(struct kvm_debug *d)
{
    pthread_mutex_lock(&d->lock);
    d->alone = NULL;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

/* --- what a step writes --- */

static bool plant_write(struct kvm_debug *d, struct kvm_plants *p, uint8_t *host,
                        uint16_t value)
{
    if (!host || p->n == KVM_PLANTS_MAX)
        return false;
    p->plant[p->n++] = (struct kvm_break){.host = host, .kept = code_read(d, host)};
    code_write(d, host, value);
    return true;
}

bool kvm_plant(struct kvm_debug *d, struct kvm_plants *p, uint8_t *host)
{
    return plant_write(d, p, host, d->trap);
}

void kvm_plant_lift(struct kvm_debug *d, struct kvm_plants *p, uint8_t *host)
{
    const struct kvm_break *b = host ? break_find(d, host) : NULL;

    if (b)
        plant_write(d, p, host, b->kept);
}

/* In reverse, since one place may have several. */
void kvm_plants_clean(struct kvm_debug *d, struct kvm_plants *p)
{
    while (p->n > 0) {
        struct kvm_break *b = &p->plant[--p->n];

        code_write(d, b->host, b->kept);
    }
}
