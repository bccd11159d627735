/* bus.c: finds who answers a guest-physical address, and keeps the rules of size and alignment.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/bus.h"

#include <errno.h>
#include <string.h>
#include "vmm/error.h"
#include "vmm/phases.h"
#include "vmm/vm.h"

/* Both ranges are not empty and do not wrap; their last bytes may be the last of all. */
static bool ranges_overlap(gpa_t a, uint64_t a_size, gpa_t b, uint64_t b_size)
{
    return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/* What already lies in the range, for the message, or NULL. */
static const char *range_owner(const struct vm *vm, gpa_t gpa, uint64_t size)
{
    for (unsigned i = 0; i < vm->mem.nslots; i++) {
        const struct mem_slot *slot = &vm->mem.slot[i];
        if (ranges_overlap(gpa, size, slot->gpa, slot->size))
            return "RAM";
    }
    for (unsigned i = 0; i < vm->bus.nclaims; i++) {
        const struct bus_claim *claim = &vm->bus.claim[i];
        if (ranges_overlap(gpa, size, claim->gpa, claim->size))
            return claim->owner;
    }
    return NULL;
}

int bus_claim(struct vm *vm, const struct bus_claim *claim, struct error *err)
{
    struct bus *bus = &vm->bus;
    gpa_t last = claim->gpa + (claim->size - 1);

    if (claim->size == 0 || last < claim->gpa) {
        error_set(err, STATUS_CONFIG, "%s: bad address range: 0x%llx bytes at 0x%llx",
                  claim->owner, (unsigned long long)claim->size,
                  (unsigned long long)claim->gpa);
        return -EINVAL;
    }
    const char *other = range_owner(vm, claim->gpa, claim->size);
    if (other) {
        error_set(err, STATUS_CONFIG, "%s: 0x%llx to 0x%llx is taken by %s", claim->owner,
                  (unsigned long long)claim->gpa, (unsigned long long)last, other);
        return -EEXIST;
    }
    if (bus->nclaims == BUS_CLAIMS_MAX) {
        error_set(err, STATUS_CONFIG, "%s: more than %d address ranges", claim->owner,
                  BUS_CLAIMS_MAX);
        return -ENOSPC;
    }

    unsigned at = bus->nclaims;
    while (at > 0 && bus->claim[at - 1].gpa > claim->gpa)
        at--;
    memmove(&bus->claim[at + 1], &bus->claim[at], (bus->nclaims - at) * sizeof(*claim));
    bus->claim[at] = *claim;
    bus->nclaims++;
    return 0;
}

static const struct bus_claim *claim_find(const struct bus *bus, gpa_t gpa)
{
    unsigned low = 0, high = bus->nclaims;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;
        const struct bus_claim *claim = &bus->claim[mid];
        if (gpa < claim->gpa)
            high = mid;
        else if (gpa - claim->gpa < claim->size)
            return claim;
        else
            low = mid + 1;
    }
    return NULL;
}

static bool access_allowed(const struct bus_claim *claim, uint64_t offset, unsigned size)
{
    /* sizes is a mask of the sizes themselves, so a size that is no power of two needs a check.
     */
    if (size == 0 || size > 8 || (size & (size - 1)) != 0 || !(claim->ops->sizes & size))
        return false;
    return (offset & (size - 1)) == 0 && claim->size - offset >= size;
}

static void handle(const struct bus_claim *claim, struct hart *hart, uint64_t offset,
                   unsigned size, bool write, uint64_t *data)
{
    const struct bus_ops *ops = claim->ops;

    if (!write && ops->glance && ops->glance(claim->self, offset, size, data))
        return;
    if (claim->lock)
        pthread_mutex_lock(claim->lock);
    if (write)
        ops->write(claim->self, hart, offset, size, *data);
    else
        *data = ops->read(claim->self, hart, offset, size);
    if (claim->lock)
        pthread_mutex_unlock(claim->lock);
}

int bus_access(struct vm *vm, struct hart *hart, gpa_t gpa, unsigned size, bool write,
               uint64_t *data)
{
    const struct bus_claim *claim = hart->claim;
    if (!claim || gpa - claim->gpa >= claim->size) {
        claim = claim_find(&vm->bus, gpa);
        if (!claim)
            return -EFAULT;
        hart->claim = claim;
    }
    uint64_t offset = gpa - claim->gpa;
    if (!access_allowed(claim, offset, size))
        return -EFAULT;
    if (write ? !claim->ops->write : !claim->ops->read)
        return -EFAULT;

    uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << (size * 8)) - 1;
    const bool timed = hart_timed(hart);

    if (timed)
        phase_mark(hart, MARK_HANDLER);
    if (write) {
        uint64_t value = *data & mask;

        handle(claim, hart, offset, size, true, &value);
    } else {
        handle(claim, hart, offset, size, false, data);
        *data &= mask;
    }
    if (timed)
        phase_mark(hart, MARK_DONE);
    return 0;
}
