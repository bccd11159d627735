/* main.c: the process: parses, makes a VM, runs it, and says how it ended. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm/cli.h"
#include "vmm/command.h"
#include "vmm/host.h"
#include "vmm/keep.h"
#include "vmm/observe.h"
#include "vmm/policy.h"
#include "vmm/report.h"
#include "vmm/vm.h"

/*
 * A signal that comes this long after the first ends the process at once: the orderly end
 * hangs. Sooner, it is the same wish again; timeout(1), for one, signals its child and then its
 * group.
 */
#define PATIENCE_NS UINT64_C(1000000000)

/* A run of one VM, and what signals did to it. */
struct run {
    struct cli *cli;
    struct keep *keep; /* or NULL */
    struct vm vm;
    pthread_mutex_t lock; /* order: before the VM's stop_lock */
    bool attached;        /* the VM can be stopped */
    int signo;            /* the signal that asked for the end; 0: none */
    uint64_t signal_ns;   /* when it came */
};

/* An error of the run, which may concern an option that came from the option file. */
static int error_print(const struct cli *cli, struct error *err)
{
    cli_error_locate(cli, err);
    fprintf(stderr, "tollgate: %s\n", err->text);
    return err->status;
}

/* Eight bits reach the parent: 256 must not look like success. */
static int status_byte(int status)
{
    return status != 0 && (status & 0xff) == 0 ? 1 : status & 0xff;
}

/* On the host layer's thread. */
static void signal_take(void *arg, int signo)
{
    struct run *run = arg;
    uint64_t now = run->cli->config.host->now_ns(run->cli->config.host);

    pthread_mutex_lock(&run->lock);
    if (run->signo != 0 && now - run->signal_ns >= PATIENCE_NS) {
        host_terminal_raw_leave();
        _exit(128 + signo);
    }
    if (run->signo == 0) {
        run->signo = signo;
        run->signal_ns = now;
        if (run->attached)
            vm_stop(&run->vm, CAUSE_KILLED, 128 + signo, NULL, "signal %d", signo);
    }
    pthread_mutex_unlock(&run->lock);
}

/* From here on signals stop the VM; one that came before does it now. */
static void signals_attach(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    run->attached = true;
    if (run->signo != 0)
        vm_stop(&run->vm, CAUSE_KILLED, 128 + run->signo, NULL, "signal %d", run->signo);
    pthread_mutex_unlock(&run->lock);
}

static const char *console_name(enum console_input input)
{
    switch (input) {
    case CONSOLE_VIRTIO: return "virtio";
    case CONSOLE_SERIAL: return "serial";
    case CONSOLE_SBI: return "sbi";
    case CONSOLE_NONE: return "none";
    case CONSOLE_AUTO: return "auto";
    }
    return "?";
}

static void machine_print(const struct vm *vm)
{
    uint64_t kib = vm->config->mem_size / 1024;

    fprintf(stderr, "tollgate: engine %s, %u %s, %" PRIu64 " %s of memory, console %s\n",
            vm->engine->name, vm->nharts, vm->nharts == 1 ? "hart" : "harts",
            kib % 1024 == 0 ? kib / 1024 : kib, kib % 1024 == 0 ? "MiB" : "KiB",
            console_name(vm->console.input));
    if (vm->config->engine_why)
        fprintf(stderr, "tollgate: passed over: %s\n", vm->config->engine_why);
    fprintf(stderr, "tollgate: '%s' lies at 0x%" PRIx64 "-0x%" PRIx64 ", entry 0x%" PRIx64 "\n",
            vm->config->image, vm->image.first, vm->image.last, vm->image.entry);
    if (vm->config->payload)
        fprintf(stderr,
                "tollgate: '%s' lies at 0x%" PRIx64 "-0x%" PRIx64 ", entry 0x%" PRIx64 "\n",
                vm->config->payload, vm->payload.first, vm->payload.last, vm->payload.entry);
    fputs("tollgate: modules:", stderr);
    for (unsigned i = 0; i < vm->ninstances; i++)
        fprintf(stderr, " %s", vm->instance[i].module->name);
    fputs(vm->ninstances == 0 ? " none\n" : "\n", stderr);
}

static void end_print(const struct vm *vm, bool verbose)
{
    char line[320];
    uint64_t steps = 0;

    if (report_line(vm, line, sizeof(line)) != 0)
        fprintf(stderr, "tollgate: %s\n", line);
    if (vm->breaches != 0)
        fprintf(stderr,
                "tollgate: %" PRIu64
                " answers outside the contract of their calls, the first of "
                "%s: a bug of its module\n",
                vm->breaches, ((const struct call_desc *)vm->breach)->name);
    policy_print_log(vm, stderr);
    if (!verbose)
        return;
    for (unsigned i = 0; i < vm->nharts; i++)
        steps += vm->hart[i].steps;
    fprintf(stderr, "tollgate: cause %s, status %d, %" PRIu64 " steps\n",
            stop_cause_name(vm->stop.cause), vm->stop.status, steps);
}

/* Raw mode is for who types into the guest; otherwise Ctrl-C keeps its meaning. */
static int terminal_take(const struct vm *vm, struct error *err)
{
    int ret;

    if (vm->console.input == CONSOLE_NONE || vm->console.in_fd < 0 ||
        !host_terminal_is(vm->console.in_fd))
        return 0;
    fputs("tollgate: Ctrl-A x quits, Ctrl-A h helps\n", stderr);
    ret = host_terminal_raw_enter();
    if (ret != 0)
        error_set(err, STATUS_OS, "standard input: cannot set the terminal to raw mode: %s",
                  strerror(-ret));
    return ret;
}

/* Writes the policy of what was seen. 0 or -errno. */
static int policy_write(const struct vm *vm, const char *path, struct error *err)
{
    struct policy_doc doc;
    char *text = NULL;
    int ret;

    policy_doc_init(&doc);
    ret = policy_learned(vm, &doc);
    if (ret == 0)
        ret = policy_doc_print(&doc, &text);
    if (ret == 0)
        ret = host_file_write("--policy-learn", path, text, strlen(text), err);
    else
        error_set(err, STATUS_OS, "--policy-learn: no memory for the policy");
    free(text);
    policy_doc_free(&doc);
    return ret;
}

/* Runs a VM that exists; the process's status. */
static int vm_execute(struct run *run, struct error *err)
{
    const struct cli *cli = run->cli;
    int ret;

    if (cli->report != NULL && report_check(cli->report, err) != 0)
        return error_print(cli, err);
    if (cli->verbose)
        machine_print(&run->vm);
    if (cli->config.start == START_FIRMWARE)
        fputs(
            "tollgate: the guest's firmware answers its SBI calls: no policy applies to them\n",
            stderr);
    if (terminal_take(&run->vm, err) != 0)
        return error_print(cli, err);
    ret = vm_run(&run->vm, err);
    host_terminal_raw_leave();
    if (ret != 0)
        error_print(cli, err);
    else
        end_print(&run->vm, cli->verbose);
    if (ret == 0) {
        ret = observer_finish(&run->vm, stderr, err);
        if (ret != 0)
            error_print(cli, err);
    }
    if (ret == 0 && run->keep != NULL) {
        ret = keep_end(run->keep, &run->vm, err);
        if (ret != 0)
            error_print(cli, err);
    }
    if (ret == 0 && cli->save_state != NULL &&
        snapshot_save(&run->vm, cli->save_state, err) != 0) {
        error_print(cli, err);
        ret = -EIO;
    }
    if (ret == 0 && cli->policy_learn != NULL &&
        policy_write(&run->vm, cli->policy_learn, err) != 0) {
        error_print(cli, err);
        ret = -EIO;
    }
    if (cli->report != NULL) {
        struct error report_err = {0};

        if (report_write(&run->vm, cli->report, &report_err) != 0)
            return error_print(cli, &report_err);
    }
    return ret != 0 ? (int)err->status : status_byte(run->vm.stop.status);
}

static int dtb_dump(const struct run *run, struct error *err)
{
    const struct vm *vm = &run->vm;

    if (vm->dtb == NULL)
        error_set(err, STATUS_CONFIG, "--dump-dtb: this guest gets no device tree");
    else if (host_file_write("--dump-dtb", run->cli->dump_dtb, vm->dtb, vm->dtb_size, err) == 0)
        return STATUS_OK;
    return error_print(run->cli, err);
}

static int vm_make_and_execute(struct run *run)
{
    struct error err = {0};
    int status;

    if (run->cli->keep != NULL &&
        keep_begin(&run->keep, run->cli->keep, &run->cli->config, &err) != 0)
        return error_print(run->cli, &err);
    if (vm_create(&run->vm, &run->cli->config, &err) != 0)
        return error_print(run->cli, &err);
    if (run->cli->action == CLI_DO_DUMP_DTB) {
        status = dtb_dump(run, &err);
    } else {
        signals_attach(run);
        status = vm_execute(run, &err);
    }
    /* The VM goes away: signals must not find it any more. */
    pthread_mutex_lock(&run->lock);
    run->attached = false;
    pthread_mutex_unlock(&run->lock);
    vm_destroy(&run->vm);
    return status;
}

static int guest_run(struct cli *cli)
{
    struct run run = {.cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER};
    int ret, status;

    cli->config.host = host_real();
    /* Before the VM, since its threads inherit the blocked signals. */
    ret = host_signals_start(signal_take, &run);
    if (ret != 0) {
        fprintf(stderr, "tollgate: cannot take signals: %s\n", strerror(-ret));
        return STATUS_OS;
    }
    status = vm_make_and_execute(&run);
    keep_free(run.keep);
    host_signals_stop();
    pthread_mutex_destroy(&run.lock);
    return status;
}

/* A command of its own; it has printed its results, or says why there are none. */
static int command_run(const struct cli *cli)
{
    struct error err = {0};
    int status = cli->command->run(cli->command_argc, cli->command_argv, &err);

    if (err.status != 0)
        fprintf(stderr, "tollgate %s: %s\n", cli->command->name, err.text);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == STATUS_OK) {
        fprintf(stderr, "tollgate: cannot write standard output: %s\n", strerror(errno));
        return STATUS_CANT_CREATE;
    }
    return status;
}

/* What is printed instead of a run. */
static int text_print(const struct cli *cli)
{
    switch (cli->action) {
    case CLI_DO_LIST_MODULES: cli_print_modules(stdout, module_list); break;
    case CLI_DO_VERSION: cli_print_version(stdout); break;
    case CLI_DO_HELP: cli_print_help(stdout); break;
    case CLI_DO_HELP_RUN: cli_print_help_run(stdout); break;
    case CLI_DO_MAN: cli_print_man(stdout); break;
    case CLI_DO_COMPLETION: cli_print_completion(stdout, module_list); break;
    case CLI_DO_MARKDOWN: cli_print_markdown(stdout); break;
    case CLI_DO_HELP_COMMAND: cli_print_help_command(stdout, cli->command); break;
    case CLI_DO_RUN:
    case CLI_DO_COMMAND:
    case CLI_DO_DUMP_DTB: break;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "tollgate: cannot write standard output: %s\n", strerror(errno));
        return STATUS_CANT_CREATE;
    }
    return STATUS_OK;
}

/*
 * A descriptor 0, 1 or 2 that our parent closed would be given to the next file that we open,
 * and the guest's console would write there. Opened for reading: input ends, output fails.
 */
static void standard_files_open(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            return;
    }
}

int main(int argc, char **argv)
{
    const struct cli_env env = {.engines = engine_list,
                                .host_memory = host_memory_size(),
                                .arch_of_file = arch_of_file};
    struct error err = {0};
    struct cli cli;
    int status;

    standard_files_open();
    if (cli_parse(&cli, &env, argc, argv, &err) != 0)
        return error_print(&cli, &err);
    if (cli.action == CLI_DO_RUN || cli.action == CLI_DO_DUMP_DTB)
        status = guest_run(&cli);
    else if (cli.action == CLI_DO_COMMAND)
        status = command_run(&cli);
    else
        status = text_print(&cli);
    cli_free(&cli);
    return status;
}
