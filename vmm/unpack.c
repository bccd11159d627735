/* unpack.c: gzip, zstd and EFI zboot, unpacked up to a limit. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/loader.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST /* next_in points to const data */
#include <zlib.h>
#include <zstd.h>
#include "vmm/le.h"

/* Linux, drivers/firmware/efi/libstub/zboot-header.S. */
#define ZBOOT_IMAGE_TYPE  4
#define ZBOOT_PAYLOAD     8
#define ZBOOT_SIZE        12
#define ZBOOT_COMPRESSION 24
#define ZBOOT_HEADER_SIZE 56

#define GZIP_WINDOW     (15 + 16)   /* zlib.h, inflateInit2: 32 KiB window, gzip wrapping */
#define ZSTD_SKIP_MAGIC 0x184d2a50u /* RFC 8878, section 3.1.2; the low 4 bits are free */
#define SINK_FIRST      ((size_t)1 << 20)

/* The output, which grows as it comes: a header's claim of its size is not believed. */
struct sink {
    const char *what;
    struct error *err;
    size_t max;
    uint8_t *data;
    size_t used, room;
};

static int sink_check(const struct sink *sink)
{
    if (sink->used <= sink->max)
        return 0;
    error_set(
        sink->err, STATUS_DATA,
        "%s unpacks to more than the %zu bytes that there is room for; give the guest more "
        "with --mem",
        sink->what, sink->max);
    return -EFBIG;
}

/* Makes room for more. 0, or -errno with the error set. */
static int sink_grow(struct sink *sink)
{
    if (sink->used < sink->room)
        return 0;
    int r = sink_check(sink);
    if (r < 0)
        return r;
    /* One byte beyond the limit tells output that just fits from output that does not. */
    size_t limit = sink->max < SIZE_MAX ? sink->max + 1 : sink->max;
    size_t room = sink->room == 0 ? SINK_FIRST : sink->room;
    room = room > limit / 2 ? limit : 2 * room;
    uint8_t *data = realloc(sink->data, room);
    if (!data) {
        error_set(sink->err, STATUS_OS, "%s: no memory to unpack it", sink->what);
        return -ENOMEM;
    }
    sink->data = data;
    sink->room = room;
    return 0;
}

static int sink_damaged(const struct sink *sink, const char *format, const char *why)
{
    return error_set(sink->err, STATUS_DATA, "%s is damaged: %s: %s", sink->what, format, why);
}

static int sink_truncated(const struct sink *sink, const char *format)
{
    return error_set(sink->err, STATUS_DATA, "%s is truncated: its %s data end too soon",
                     sink->what, format);
}

static bool is_gzip(const uint8_t *data, size_t size)
{
    return size >= 3 && memcmp(data, "\x1f\x8b\x08", 3) == 0;
}

static bool is_zstd(const uint8_t *data, size_t size)
{
    return size >= 4 && le_get32(data) == ZSTD_MAGICNUMBER;
}

static bool is_zstd_skip(const uint8_t *data, size_t size)
{
    return size >= 4 && (le_get32(data) & ~0xfu) == ZSTD_SKIP_MAGIC;
}

static uInt cut_to_uint(size_t n)
{
    return n < UINT_MAX ? (uInt)n : UINT_MAX;
}

/* One member of a gzip file; *data and *size move behind it. */
static int gunzip_member(struct sink *sink, z_stream *z, const uint8_t **data, size_t *size)
{
    for (int state = Z_OK; state != Z_STREAM_END;) {
        int r = sink_grow(sink);
        if (r < 0)
            return r;
        uInt in = cut_to_uint(*size), out = cut_to_uint(sink->room - sink->used);
        z->next_in = *data;
        z->avail_in = in;
        z->next_out = sink->data + sink->used;
        z->avail_out = out;
        state = inflate(z, Z_NO_FLUSH);
        *data += in - z->avail_in;
        *size -= in - z->avail_in;
        sink->used += out - z->avail_out;
        if (state == Z_BUF_ERROR || (state == Z_OK && *size == 0 && z->avail_out > 0))
            return sink_truncated(sink, "gzip");
        if (state != Z_OK && state != Z_STREAM_END)
            return sink_damaged(sink, "gzip", z->msg ? z->msg : "not a gzip stream");
    }
    return 0;
}

/* Bytes that follow the last member and begin no other are padding, as gzip(1) has it. */
static int gunzip(struct sink *sink, const uint8_t *data, size_t size)
{
    z_stream z = {0};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) {
        error_set(sink->err, STATUS_OS, "%s: no memory to unpack it", sink->what);
        return -ENOMEM;
    }
    int r;
    do {
        r = gunzip_member(sink, &z, &data, &size);
        inflateReset(&z);
    } while (r == 0 && is_gzip(data, size));
    inflateEnd(&z);
    return r;
}

static int unzstd_frames(struct sink *sink, ZSTD_DCtx *ctx, const uint8_t *data, size_t size)
{
    ZSTD_inBuffer in = {.src = data, .size = size};
    for (;;) {
        int r = sink_grow(sink);
        if (r < 0)
            return r;
        ZSTD_outBuffer out = {.dst = sink->data, .size = sink->room, .pos = sink->used};
        size_t left = ZSTD_decompressStream(ctx, &out, &in);
        sink->used = out.pos;
        if (ZSTD_isError(left))
            return sink_damaged(sink, "zstd", ZSTD_getErrorName(left));
        const uint8_t *next = data + in.pos;
        if (left == 0 && !is_zstd(next, size - in.pos) && !is_zstd_skip(next, size - in.pos))
            return 0;
        if (left > 0 && in.pos == in.size && out.pos < out.size)
            return sink_truncated(sink, "zstd");
    }
}

static int unzstd(struct sink *sink, const uint8_t *data, size_t size)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    if (!ctx) {
        error_set(sink->err, STATUS_OS, "%s: no memory to unpack it", sink->what);
        return -ENOMEM;
    }
    int r = unzstd_frames(sink, ctx, data, size);
    ZSTD_freeDCtx(ctx);
    return r;
}

/* Is the payload's compression one that starts so? Linux has written both zstd and zstd22. */
static bool zboot_is(const uint8_t *data, const char *name)
{
    return strncmp((const char *)data + ZBOOT_COMPRESSION, name, strlen(name)) == 0;
}

static int unzboot(struct sink *sink, const uint8_t *data, size_t size)
{
    if (size < ZBOOT_HEADER_SIZE)
        return error_set(sink->err, STATUS_DATA, "%s is truncated inside its zboot header",
                         sink->what);
    size_t offset = le_get32(data + ZBOOT_PAYLOAD);
    size_t payload = le_get32(data + ZBOOT_SIZE);
    if (offset > size || payload > size - offset)
        return error_set(sink->err, STATUS_DATA,
                         "%s is truncated: it has %zu bytes, its packed kernel ends at %zu",
                         sink->what, size, offset + payload);
    if (zboot_is(data, "gzip") && is_gzip(data + offset, payload))
        return gunzip(sink, data + offset, payload);
    if (zboot_is(data, "zstd") && is_zstd(data + offset, payload))
        return unzstd(sink, data + offset, payload);
    if (zboot_is(data, "gzip") || zboot_is(data, "zstd"))
        return sink_damaged(sink, "zboot", "the payload is not what its header says");
    return error_set(sink->err, STATUS_DATA,
                     "%s is an EFI zboot image packed with '%.31s'; gzip and zstd can be read",
                     sink->what, (const char *)data + ZBOOT_COMPRESSION);
}

int image_unpack(const char *what, const uint8_t *data, size_t size, size_t max, uint8_t **out,
                 size_t *out_size, struct error *err)
{
    struct sink sink = {.what = what, .err = err, .max = max};
    int r = -ENOENT;
    if (is_gzip(data, size))
        r = gunzip(&sink, data, size);
    else if (is_zstd(data, size))
        r = unzstd(&sink, data, size);
    else if (size >= ZBOOT_PAYLOAD && memcmp(data, "MZ", 2) == 0 &&
             memcmp(data + ZBOOT_IMAGE_TYPE, "zimg", 4) == 0)
        r = unzboot(&sink, data, size);
    if (r == 0)
        r = sink_check(&sink);
    if (r < 0) {
        free(sink.data);
        return r;
    }
    *out = sink.data;
    *out_size = sink.used;
    return 0;
}
