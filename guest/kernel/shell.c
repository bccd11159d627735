/* shell.c: a prompt, for people without a Linux kernel at hand (boot argument tg.shell). */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/kernel/kernel.h"

#include <stddef.h>
#include "guest/abi/platform.h"
#include "guest/lib/csr.h"
#include "guest/lib/hart.h"
#include "guest/lib/print.h"
#include "guest/lib/sbi.h"
#include "guest/lib/string.h"
#include "guest/lib/trap.h"

#define LINE_MAX     80
#define POLL_EVERY   (PLAT_TIMEBASE_HZ / 100)
#define END_OF_INPUT 0x04
#define BACKSPACE    0x08
#define DELETE       0x7f

struct command {
    const char *name;
    const char *help;
    void (*run)(void);
};

/* Sleeps between looks, since SBI consoles raise no interrupt. */
static int char_wait(void)
{
    int c = console_getchar();

    csr_write(sie, SIP_STIP);
    while (c < 0) {
        timer_set(time_now() + POLL_EVERY);
        wait_for_interrupt();
        c = console_getchar();
    }
    timer_set(UINT64_MAX);
    csr_write(sie, 0);
    return c;
}

/* One line without its end. False at the end of input. */
static bool line_read(char *line)
{
    size_t n = 0;

    for (;;) {
        int c = char_wait();

        if (c == END_OF_INPUT)
            return false;
        if (c == '\r' || c == '\n')
            break;
        if ((c == BACKSPACE || c == DELETE) && n) {
            n--;
            print("\b \b");
        } else if (c >= ' ' && c < DELETE && n < LINE_MAX - 1) {
            line[n++] = (char)c;
            print("%c", c);
        }
        print_flush();
    }
    line[n] = '\0';
    print("\n");
    return true;
}

static void harts_show(void)
{
    static const char *const names[] = {"started",       "stopped",   "start pending",
                                        "stopping",      "suspended", "suspend pending",
                                        "resume pending"};

    for (unsigned i = 0; i < hart_count(); i++) {
        int64_t state = hart_state(i);

        print("hart %lu: %s%s\n", hart_id(i),
              state >= 0 && state < 7 ? names[state] : "unknown",
              i == 0 ? ", runs this shell" : "");
    }
}

static void time_show(void)
{
    uint64_t now = time_now();

    print("%lu.%lu s since the machine began (%lu ticks)\n", now / PLAT_TIMEBASE_HZ,
          now / (PLAT_TIMEBASE_HZ / 10) % 10, now);
}

static uint64_t run_illegal(uint64_t a, uint64_t b)
{
    __asm__ volatile("unimp");
    return a + b;
}

static void trap_show(void)
{
    struct guard g;

    if (!guard_call(&g, run_illegal, 0, 0))
        print("illegal instruction: scause %lu, sepc 0x%lx, stval 0x%lx\n", g.cause, g.epc,
              g.tval);
    if (guard_load(&g, 0, 8))
        print("load from address 0: scause %lu, sepc 0x%lx, stval 0x%lx\n", g.cause, g.epc,
              g.tval);
}

static void power_off(void)
{
    system_off(false);
}

static void help_show(void);

static const struct command commands[] = {
    {"help",     "this list",                                  help_show },
    {"harts",    "the harts and their HSM states",             harts_show},
    {"time",     "the clock",                                  time_show },
    {"trap",     "take two exceptions and show them",          trap_show },
    {"poweroff", "shut the machine down; Ctrl-D does as well", power_off },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help_show(void)
{
    for (size_t i = 0; i < NCOMMANDS; i++)
        print("%s: %s\n", commands[i].name, commands[i].help);
}

static void command_run(const char *line)
{
    for (size_t i = 0; i < NCOMMANDS; i++) {
        if (!strcmp(line, commands[i].name)) {
            commands[i].run();
            return;
        }
    }
    if (*line)
        print("%s: no such command; `help` lists them\n", line);
}

void shell_run(void)
{
    char line[LINE_MAX];

    print("The in-tree guest kernel, on %u hart%s. `help` lists the commands.\n", hart_count(),
          hart_count() == 1 ? "" : "s");
    for (;;) {
        print("tollgate> ");
        print_flush();
        if (!line_read(line))
            break;
        command_run(line);
    }
    print("\n");
}
