/* report.c: how the run ended: one line for people, JSON for machines. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/host.h"
#include "vmm/version.h"
#include "vmm/vm.h"

#define REPORT_VERSION 1

/* The texts may quote what the guest wrote; JSON takes UTF-8 only, so all but ASCII is masked.
 */
static json_t *text_json(const char *text)
{
    char ascii[sizeof(((struct vm_stop *)NULL)->text)];
    size_t i;

    for (i = 0; i + 1 < sizeof(ascii) && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];

        ascii[i] = (char)(c >= 0x20 && c < 0x7f ? c : '?');
    }
    ascii[i] = '\0';
    return json_string(ascii);
}

/* JSON has no hexadecimal numbers, and many readers keep 53 bits only. */
static json_t *pc_json(const struct vm_stop *stop)
{
    char text[2 + 16 + 1];

    if (!stop->has_pc)
        return json_null();
    snprintf(text, sizeof(text), "0x%" PRIx64, stop->pc);
    return json_string(text);
}

/* Those of the hart to blame, "x10": "0x..."; null when there is none. */
static json_t *registers_json(const struct vm_stop *stop)
{
    json_t *registers;
    char text[2 + 16 + 1];

    if (stop->nregisters == 0)
        return json_null();
    registers = json_object();
    for (unsigned i = 0; i < stop->nregisters; i++) {
        snprintf(text, sizeof(text), "0x%" PRIx64, stop->registers[i].value);
        json_object_set_new(registers, stop->registers[i].name, json_string(text));
    }
    return registers;
}

static json_t *hart_json(const struct hart *hart)
{
    json_t *exits = json_object();

    for (enum exit_kind kind = 0; kind < EXIT_KINDS; kind++)
        json_object_set_new(exits, exit_kind_name(kind),
                            json_integer((json_int_t)hart->exits[kind]));
    return json_pack("{s:I, s:I, s:o}", "steps", (json_int_t)hart->steps, "instret",
                     (json_int_t)hart->instret, "exits", exits);
}

/* The digest of the whole machine, by which two deterministic runs are compared. */
static json_t *hash_json(struct vm *vm)
{
    uint8_t hash[SNAPSHOT_HASH_SIZE];
    char text[2 * SNAPSHOT_HASH_SIZE + 1];

    if (!vm->det || snapshot_hash(vm, hash) != 0)
        return json_null();
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return json_string(text);
}

static json_t *modules_json(const struct vm *vm)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < vm->ninstances; i++)
        json_array_append_new(list, json_string(vm->instance[i].module->name));
    return list;
}

/* NULL when there is no memory for it. */
static json_t *report_json(struct vm *vm)
{
    json_t *harts = json_array();
    uint64_t steps = 0;

    for (unsigned i = 0; i < vm->nharts; i++) {
        steps += vm->hart[i].steps;
        json_array_append_new(harts, hart_json(&vm->hart[i]));
    }
    return json_pack("{s:s, s:i, s:s, s:i, s:o, s:o, s:o, s:o, s:I, s:o, s:s, s:I, s:o, s:o}",
                     "tollgate", TG_VERSION, "version", REPORT_VERSION, "cause",
                     stop_cause_name(vm->stop.cause), "status", vm->stop.status, "hart",
                     vm->stop.hart < 0 ? json_null() : json_integer(vm->stop.hart), "pc",
                     pc_json(&vm->stop), "registers", registers_json(&vm->stop), "text",
                     text_json(vm->stop.text), "steps", (json_int_t)steps, "state_hash",
                     hash_json(vm), "engine", vm->engine->name, "breaches",
                     (json_int_t)vm->breaches, "modules", modules_json(vm), "harts", harts);
}

int report_write(struct vm *vm, const char *path, struct error *err)
{
    json_t *json = report_json(vm);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_INDENT(2));
    size_t len;
    int ret;

    json_decref(json);
    if (text == NULL) {
        error_set(err, STATUS_OS, "--report: no memory for the report");
        return -ENOMEM;
    }
    len = strlen(text);
    text[len] = '\n'; /* host_file_write needs no NUL */
    ret = host_file_write("--report", path, text, len + 1, err);
    free(text);
    return ret;
}

int report_check(const char *path, struct error *err)
{
    FILE *file;

    if (strcmp(path, "-") == 0)
        return 0;
    /* Appending keeps what is there until there is something better. */
    file = fopen(path, "ae");
    if (file == NULL) {
        int error = errno;

        error_set(err, STATUS_CANT_CREATE, "--report: cannot write '%.200s': %s", path,
                  strerror(error));
        return -error;
    }
    fclose(file);
    return 0;
}

/* What the line begins with; NULL: the guest ended by its own decision, and its status says it.
 */
static const char *cause_headline(enum stop_cause cause)
{
    switch (cause) {
    case CAUSE_EXIT:
    case CAUSE_FINISHER: return NULL;
    case CAUSE_NONE: return "the guest ended without a cause";
    case CAUSE_RESET: return "the guest asked for a restart";
    case CAUSE_INVALID_ECALL: return "invalid ecall";
    case CAUSE_FAULT: return "guest fault";
    case CAUSE_BUDGET: return "step budget spent";
    case CAUSE_KILLED: return "killed";
    case CAUSE_QUIT: return "left";
    case CAUSE_ENGINE: return "engine failed";
    case CAUSE_POLICY: return "policy";
    }
    return "the guest ended for an unknown cause";
}

size_t report_line(const struct vm *vm, char *line, size_t size)
{
    const struct vm_stop *stop = &vm->stop;
    const char *headline = cause_headline(stop->cause);
    char where[64] = "";
    int len;

    if (headline == NULL)
        return 0;
    if (stop->hart >= 0 && stop->has_pc)
        snprintf(where, sizeof(where), ": hart %d, pc 0x%" PRIx64, stop->hart, stop->pc);
    else if (stop->hart >= 0)
        snprintf(where, sizeof(where), ": hart %d", stop->hart);
    len = snprintf(line, size, "%s%s%s%s", headline, where, stop->text[0] != '\0' ? ": " : "",
                   stop->text);
    if (len < 0)
        return 0;
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    return strlen(line);
}
