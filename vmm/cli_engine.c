/* cli_engine.c: the architecture of the guest, and the engine that runs it. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdio.h>
#include <string.h>
#include "vmm/cli_parser.h"

/* An engine's capabilities that this configuration needs. */
static unsigned caps_needed(const struct vm_config *config)
{
    unsigned caps = 0;

    if (config->start == START_FIRMWARE)
        caps |= ENGINE_M_MODE;
    if (config->start == START_PROGRAM)
        caps |= ENGINE_U_MODE;
    if (config->max_steps != UINT64_MAX)
        caps |= ENGINE_EXACT_STEPS;
    if (config->code_map != NULL)
        caps |= ENGINE_CODE_MAP;
    return caps;
}

static const char *cap_option(unsigned caps)
{
    if (caps & ENGINE_M_MODE)
        return "--firmware";
    if (caps & ENGINE_U_MODE)
        return "--program";
    return caps & ENGINE_EXACT_STEPS ? "--max-steps" : "--code-map";
}

void cli_arch_choose(struct cli_parser *p)
{
    struct vm_config *config = &p->cli->config;

    config->arch = arch_list[0];
    if (p->arch != NULL && strcmp(p->arch, "auto") != 0)
        config->arch = arch_find(p->arch);
    else if (config->start == START_KERNEL && p->env->arch_of_file != NULL)
        config->arch = p->env->arch_of_file(config->image);
}

static const struct arch *engine_arch(const struct engine *engine)
{
    return engine->arch != NULL ? engine->arch : arch_list[0];
}

/* Can the engine run this guest on this host? Otherwise says why not. */
static bool engine_fits(const struct engine *engine, const struct arch *arch, unsigned caps,
                        char *why, size_t size)
{
    unsigned lacking = caps & ~engine->caps;

    if (engine_arch(engine) != arch) {
        snprintf(why, size, "the guest is for %s, and this engine runs %s guests", arch->name,
                 engine_arch(engine)->name);
        return false;
    }
    if (lacking != 0) {
        snprintf(why, size, "it does not support %s", cap_option(lacking));
        return false;
    }
    why[0] = '\0';
    if (engine->probe == NULL || engine->probe(why, size) == 0)
        return true;
    if (why[0] == '\0')
        snprintf(why, size, "this host does not support it");
    return false;
}

static int engine_missing(struct cli_parser *p)
{
    char list[128] = "auto";
    size_t len = strlen(list);

    for (size_t i = 0; p->env->engines[i] != NULL && len < sizeof(list); i++)
        len +=
            (size_t)snprintf(list + len, sizeof(list) - len, ", %s", p->env->engines[i]->name);
    return error_set(p->err, STATUS_UNAVAILABLE,
                     "--engine: '%.80s' is not part of this build; available: %s", p->engine,
                     list);
}

static int engine_named(struct cli_parser *p, unsigned caps)
{
    char why[160];

    for (size_t i = 0; p->env->engines[i] != NULL; i++) {
        const struct engine *engine = p->env->engines[i];

        if (strcmp(engine->name, p->engine) != 0)
            continue;
        if (!engine_fits(engine, p->cli->config.arch, caps, why, sizeof(why)))
            return error_set(p->err, STATUS_UNAVAILABLE,
                             "--engine: '%.80s' cannot run this guest: %s; try --engine auto",
                             p->engine, why);
        p->cli->config.engine = engine;
        return 0;
    }
    return engine_missing(p);
}

int cli_engine_choose(struct cli_parser *p)
{
    struct vm_config *config = &p->cli->config;
    unsigned caps = caps_needed(config);
    char *reasons = p->cli->engine_why, why[160];
    size_t size = sizeof(p->cli->engine_why), len = 0;

    if (p->engine != NULL && strcmp(p->engine, "auto") != 0)
        return engine_named(p, caps);
    for (size_t i = 0; p->env->engines[i] != NULL; i++) {
        const struct engine *engine = p->env->engines[i];

        if (engine_fits(engine, config->arch, caps, why, sizeof(why))) {
            config->engine = engine;
            config->engine_why = len > 0 ? reasons : NULL;
            return 0;
        }
        if (len < size)
            len += (size_t)snprintf(reasons + len, size - len, "%s%s: %s", len > 0 ? "; " : "",
                                    engine->name, why);
    }
    return error_set(p->err, STATUS_UNAVAILABLE,
                     "--engine: no engine of this build can run this guest here: %s",
                     len > 0 ? reasons : "there is none");
}
