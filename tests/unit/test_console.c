/* test_console.c: escape keys, the input queue, the end of input, and output that must not
 * hang. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "tests/unit/fixture.h"
#include "tests/unit/suites.h"
#include "vmm/console.h"

#define WHO CONSOLE_SERIAL

static struct fixture f;
static struct console *con;
static unsigned posts;

static void count_post(void *self, uint64_t arg)
{
    CU_ASSERT_PTR_EQUAL(self, &f);
    CU_ASSERT_EQUAL(arg, 0);
    posts++;
}

static void setup(bool terminal)
{
    fixture_init(&f, START_KERNEL, 1, WHO);
    con = &f.vm.console;
    con->escapes = terminal;
    posts = 0;
    console_on_ready(con, WHO, count_post, &f);
}

/* True when exactly `text` waits for the guest. */
static bool reads(const char *text)
{
    uint8_t buf[CONSOLE_QUEUE + 1];
    size_t n = console_read(con, WHO, buf, sizeof(buf));

    return n == strlen(text) && memcmp(buf, text, n) == 0;
}

static size_t feed(const char *text)
{
    return console_feed(con, (const uint8_t *)text, strlen(text));
}

/* True when the thread was woken since the last call. */
static bool notified(void)
{
    eventfd_t count;

    return eventfd_read(con->notify_fd, &count) == 0;
}

static void fill_queue(void)
{
    uint8_t byte = 'f';

    while (console_feed(con, &byte, 1) == 1)
        ;
    CU_ASSERT_EQUAL(console_pending(con, WHO), CONSOLE_QUEUE);
}

static void test_escapes(void)
{
    setup(true);
    CU_ASSERT_EQUAL(feed("a\001\001b"), 4);
    CU_ASSERT(reads("a\001b"));
    CU_ASSERT_EQUAL(feed("c\001"), 2);
    CU_ASSERT_EQUAL(feed("zd\001"), 3); /* an unknown one is nothing */
    CU_ASSERT(reads("cd"));
    CU_ASSERT_EQUAL(f.mock.out_len, 0);
    CU_ASSERT_EQUAL(feed("he"), 2);
    CU_ASSERT(reads("e"));
    CU_ASSERT(f.mock.out_len > 0);
    f.mock.out[f.mock.out_len] = '\0';
    CU_ASSERT_PTR_NOT_NULL(strstr((char *)f.mock.out, "Ctrl-A x"));
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);

    CU_ASSERT_EQUAL(feed("1\001x2"), 4);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_QUIT);
    CU_ASSERT_EQUAL(f.vm.stop.status, 0);
    CU_ASSERT(reads("12"));
    fixture_destroy(&f);
}

static void test_piped_bytes(void)
{
    setup(false);
    CU_ASSERT_EQUAL(feed("\001x\001h\004\003"), 6);
    CU_ASSERT(reads("\001x\001h\004\003"));
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    CU_ASSERT_EQUAL(f.mock.out_len, 0);
    fixture_destroy(&f);
}

static void test_queue(void)
{
    uint8_t buf[8];
    setup(false);
    CU_ASSERT_EQUAL(feed("abc"), 3);
    CU_ASSERT_EQUAL(posts, 1);
    CU_ASSERT_EQUAL(console_pending(con, CONSOLE_VIRTIO), 0);
    CU_ASSERT_EQUAL(console_read(con, CONSOLE_VIRTIO, buf, sizeof(buf)), 0);
    CU_ASSERT_EQUAL(console_read(con, CONSOLE_NONE, buf, sizeof(buf)), 0);
    CU_ASSERT_EQUAL(console_pending(con, WHO), 3);
    CU_ASSERT_EQUAL(console_read(con, WHO, buf, 2), 2);
    CU_ASSERT_EQUAL(memcmp(buf, "ab", 2), 0);
    CU_ASSERT(reads("c"));
    CU_ASSERT(reads(""));

    /* Somebody else's name does not take the place of the reader's. */
    console_on_ready(con, CONSOLE_VIRTIO, NULL, NULL);
    CU_ASSERT_EQUAL(feed("d"), 1);
    CU_ASSERT_EQUAL(posts, 2);
    CU_ASSERT(reads("d"));

    /* Full, and around the end of the ring. */
    fill_queue();
    CU_ASSERT_EQUAL(feed("xy"), 0);
    CU_ASSERT_FALSE(notified());
    CU_ASSERT_EQUAL(console_read(con, WHO, buf, 1), 1);
    CU_ASSERT_TRUE(notified()); /* there is room again */
    CU_ASSERT_EQUAL(feed("xy"), 1);
    CU_ASSERT_EQUAL(console_pending(con, WHO), CONSOLE_QUEUE);
    uint8_t all[CONSOLE_QUEUE];
    CU_ASSERT_EQUAL(console_read(con, WHO, all, sizeof(all)), CONSOLE_QUEUE);
    CU_ASSERT_EQUAL(all[CONSOLE_QUEUE - 2], 'f');
    CU_ASSERT_EQUAL(all[CONSOLE_QUEUE - 1], 'x');
    fixture_destroy(&f);
}

/* A byte that does not fit is as if it had not come: an escape before it goes on. */
static void test_escape_at_full_queue(void)
{
    uint8_t byte;
    setup(true);
    fill_queue();
    CU_ASSERT_EQUAL(feed("\001\001"), 1);
    CU_ASSERT_EQUAL(console_read(con, WHO, &byte, 1), 1);
    CU_ASSERT_EQUAL(feed("\001"), 1);
    uint8_t all[CONSOLE_QUEUE];
    CU_ASSERT_EQUAL(console_read(con, WHO, all, sizeof(all)), CONSOLE_QUEUE);
    CU_ASSERT_EQUAL(all[CONSOLE_QUEUE - 1], 1);
    fixture_destroy(&f);
}

static void test_no_input(void)
{
    setup(true);
    con->input = CONSOLE_NONE;
    CU_ASSERT_EQUAL(feed("abc"), 3);
    CU_ASSERT_EQUAL(con->count, 0);
    CU_ASSERT_EQUAL(posts, 0);
    CU_ASSERT_EQUAL(feed("\001x"), 2);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_QUIT);
    fixture_destroy(&f);
}

static void test_end_of_input(void)
{
    uint8_t buf[8];
    setup(false);
    mock_read_text(&f.mock, "exit\n");
    mock_read_result(&f.mock, 0);
    CU_ASSERT(console_poll(con)); /* the text */
    CU_ASSERT(console_poll(con)); /* the end */
    CU_ASSERT_EQUAL(console_pending(con, WHO), 5);
    CU_ASSERT_TRUE(con->eof);
    CU_ASSERT_EQUAL(console_read(con, WHO, buf, 4), 4);
    CU_ASSERT_EQUAL(console_pending(con, WHO), 1);

    /* Only when the last byte was taken, and at once then: Ctrl-D. */
    CU_ASSERT(reads("\n"));
    uint64_t before = f.mock.now_ns;
    posts = 0;
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(f.mock.now_ns, before);
    CU_ASSERT_EQUAL(posts, 1);
    CU_ASSERT(reads("\004"));

    /* Then once a second, as long as they are taken. */
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(f.mock.now_ns - before, CONSOLE_EOF_NS);
    CU_ASSERT_EQUAL(console_pending(con, WHO), 1);
    unsigned nreads = f.mock.nreads;
    CU_ASSERT(reads("\004"));
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(f.mock.now_ns - before, 2 * CONSOLE_EOF_NS);
    CU_ASSERT(reads("\004"));
    CU_ASSERT_EQUAL(f.mock.nreads, nreads); /* the descriptor is left alone */
    fixture_destroy(&f);
}

static void test_read_errors(void)
{
    setup(false);
    mock_read_result(&f.mock, -EINTR);
    mock_read_result(&f.mock, -EAGAIN);
    mock_read_text(&f.mock, "k");
    mock_read_result(&f.mock, -EIO);
    CU_ASSERT(console_poll(con));
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(console_pending(con, WHO), 0);
    CU_ASSERT(console_poll(con));
    CU_ASSERT_FALSE(con->eof);
    CU_ASSERT(reads("k"));
    CU_ASSERT(console_poll(con)); /* an error is the end */
    CU_ASSERT_TRUE(con->eof);
    CU_ASSERT(reads("\004"));
    fixture_destroy(&f);
}

/* A pipe is not read while the queue is full, and read again when there is room. */
static void test_full_queue_of_pipe(void)
{
    uint8_t byte;
    setup(false);
    fill_queue();
    mock_read_text(&f.mock, "pq");
    CU_ASSERT_EQUAL(console_read(con, WHO, &byte, 1), 1);
    CU_ASSERT(console_poll(con)); /* one byte of room: one byte is read */
    CU_ASSERT_EQUAL(con->count, CONSOLE_QUEUE);
    CU_ASSERT_EQUAL(f.mock.nreads, 1);
    /* Wakes for the notification that there is room again, without having read. */
    CU_ASSERT_EQUAL(console_read(con, WHO, &byte, 1), 1);
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(con->count, CONSOLE_QUEUE);
    CU_ASSERT_EQUAL(f.mock.nreads, 2);
    uint8_t all[CONSOLE_QUEUE];
    CU_ASSERT_EQUAL(console_read(con, WHO, all, sizeof(all)), CONSOLE_QUEUE);
    CU_ASSERT_EQUAL(memcmp(all + CONSOLE_QUEUE - 2, "pq", 2), 0);
    fixture_destroy(&f);
}

/* The user of a terminal gets out of a guest that does not read. */
static void test_full_queue_of_terminal(void)
{
    setup(true);
    fill_queue();
    uint64_t before = f.mock.now_ns;
    mock_read_text(&f.mock, "lost\001\001\001x");
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(f.mock.now_ns - before, CONSOLE_FULL_NS); /* it might have been a paste */
    CU_ASSERT_EQUAL(f.mock.nreads, 0);
    CU_ASSERT(console_poll(con));
    CU_ASSERT_EQUAL(f.mock.nreads, 1);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_QUIT);
    CU_ASSERT_EQUAL(console_pending(con, WHO), CONSOLE_QUEUE);
    fixture_destroy(&f);
}

static void test_write(void)
{
    setup(false);
    console_write(con, "one\n", 4);
    CU_ASSERT_EQUAL(f.mock.nwrites, 1);
    CU_ASSERT(fixture_printed(&f, "one\n"));

    mock_write_result(&f.mock, 2);
    mock_write_result(&f.mock, -EINTR);
    mock_write_result(&f.mock, -EAGAIN);
    mock_write_result(&f.mock, 1);
    unsigned nwaits = f.mock.nwaits;
    console_write(con, "hello", 5);
    CU_ASSERT(fixture_printed(&f, "hello"));
    CU_ASSERT_EQUAL(f.mock.nwaits - nwaits, 1);

    /* What the host refuses is dropped, once. */
    mock_write_result(&f.mock, 1);
    mock_write_result(&f.mock, -EPIPE);
    console_write(con, "gone", 4);
    CU_ASSERT(fixture_printed(&f, "g"));
    mock_write_result(&f.mock, -ENOSPC);
    mock_write_result(&f.mock, -EIO);
    mock_write_result(&f.mock, 0);
    console_write(con, "a", 1);
    console_write(con, "b", 1);
    console_write(con, "c", 1);
    CU_ASSERT(fixture_printed(&f, ""));
    console_write(con, "back", 4);
    CU_ASSERT(fixture_printed(&f, "back"));

    /* A VM that ends does not wait for a slow reader. */
    atomic_store(&f.vm.stopping, true);
    mock_write_result(&f.mock, -EAGAIN);
    console_write(con, "x", 1);
    CU_ASSERT(fixture_printed(&f, ""));
    fixture_destroy(&f);
}

static void test_putc(void)
{
    setup(false);
    con->in_fd = -1;
    console_putc(con, 'a'); /* no thread: nothing is held back */
    CU_ASSERT(fixture_printed(&f, "a"));

    con->out_lazy = true;
    console_putc(con, 'b');
    console_putc(con, 'c');
    CU_ASSERT(fixture_printed(&f, ""));
    console_putc(con, '\n');
    CU_ASSERT(fixture_printed(&f, "bc\n"));
    console_putc(con, 'd');
    console_write(con, "e", 1);
    CU_ASSERT(fixture_printed(&f, "de"));
    unsigned nwrites = f.mock.nwrites;
    for (unsigned i = 0; i < CONSOLE_LINE; i++)
        console_putc(con, 'x');
    CU_ASSERT_EQUAL(f.mock.nwrites - nwrites, 1);
    CU_ASSERT_EQUAL(f.mock.out_len, CONSOLE_LINE);
    f.mock.out_len = 0;

    /* A prompt comes out after the time that was promised, counted from its first byte. */
    uint64_t before = f.mock.now_ns;
    console_putc(con, '$');
    mock_advance(&f.mock, 1000000);
    console_putc(con, ' ');
    CU_ASSERT(fixture_printed(&f, ""));
    CU_ASSERT(console_poll(con)); /* waits until it is due */
    CU_ASSERT(fixture_printed(&f, "$ "));
    CU_ASSERT_EQUAL(f.mock.now_ns - before, CONSOLE_FLUSH_NS);

    console_putc(con, 'z');
    console_stop(con);
    CU_ASSERT(fixture_printed(&f, "z"));
    fixture_destroy(&f);
}

static void semaphore_post(void *self, uint64_t arg)
{
    (void)arg;
    sem_post(self);
}

/* The real thread on a real pipe; everything here waits for what must happen, without limits.
 */
static void test_thread(void)
{
    int in[2], out[2];
    sem_t ready;
    uint8_t buf[16];
    fixture_init(&f, START_KERNEL, 1, CONSOLE_NONE);
    CU_ASSERT_EQUAL_FATAL(pipe(in), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(out), 0);
    sem_init(&ready, 0, 0);
    struct console c;
    CU_ASSERT_EQUAL_FATAL(console_init(&c, &f.vm, host_real(), WHO, in[0], out[1]), 0);
    CU_ASSERT_FALSE(c.escapes);
    console_on_ready(&c, WHO, semaphore_post, &ready);
    CU_ASSERT_EQUAL_FATAL(console_start(&c), 0);

    CU_ASSERT_EQUAL(write(in[1], "hi\001x", 4), 4);
    size_t n = 0;
    while (n < 4) {
        sem_wait(&ready);
        n += console_read(&c, WHO, buf + n, sizeof(buf) - n);
    }
    CU_ASSERT_EQUAL(memcmp(buf, "hi\001x", 4), 0);
    console_putc(&c, '>'); /* no newline: the thread writes it */
    CU_ASSERT_EQUAL(read(out[0], buf, sizeof(buf)), 1);
    CU_ASSERT_EQUAL(buf[0], '>');

    close(in[1]);
    while (console_read(&c, WHO, buf, sizeof(buf)) == 0)
        sem_wait(&ready);
    CU_ASSERT_EQUAL(buf[0], 4);
    console_stop(&c);
    console_stop(&c);
    console_destroy(&c);
    sem_destroy(&ready);
    close(in[0]);
    close(out[0]);
    close(out[1]);
    CU_ASSERT_EQUAL(f.vm.stop.cause, CAUSE_NONE);
    fixture_destroy(&f);
}

void suite_console(void)
{
    CU_pSuite suite = CU_add_suite("console", NULL, NULL);

    CU_add_test(suite, "escape keys", test_escapes);
    CU_add_test(suite, "piped bytes pass untouched", test_piped_bytes);
    CU_add_test(suite, "the queue", test_queue);
    CU_add_test(suite, "an escape at a full queue", test_escape_at_full_queue);
    CU_add_test(suite, "no reader", test_no_input);
    CU_add_test(suite, "end of input", test_end_of_input);
    CU_add_test(suite, "read errors", test_read_errors);
    CU_add_test(suite, "a full queue holds a pipe back", test_full_queue_of_pipe);
    CU_add_test(suite, "a full queue does not lock the user in", test_full_queue_of_terminal);
    CU_add_test(suite, "writes", test_write);
    CU_add_test(suite, "bytes are gathered, not held back", test_putc);
    CU_add_test(suite, "the thread", test_thread);
}
