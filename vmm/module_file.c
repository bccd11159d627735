/* module_file.c: loads modules from files that were built elsewhere. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/module_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/abi.h"

/* One --module, taken apart. */
struct request {
    char path[4096];
    char name[64]; /* of the other module; "": none */
    bool replaces; /* take its place, else stand before it */
};

static int request_parse(const char *text, struct request *req, struct error *err)
{
    size_t len = strcspn(text, ",");
    const char *rest = text + len;

    *req = (struct request){.name = ""};
    if (len == 0)
        return error_set(err, STATUS_USAGE,
                         "--module: no file; give FILE.so[,before=NAME|,replaces=NAME]");
    if (*rest == ',' && strncmp(rest, ",before=", 8) == 0)
        rest += 8;
    else if (*rest == ',' && strncmp(rest, ",replaces=", 10) == 0)
        rest += 10, req->replaces = true;
    else if (*rest == ',')
        return error_set(err, STATUS_USAGE,
                         "--module: '%.80s' is no place; give ,before=NAME or ,replaces=NAME",
                         rest + 1);
    else
        rest = NULL;
    if (rest && (*rest == '\0' || strchr(rest, ',') || strlen(rest) >= sizeof(req->name)))
        return error_set(err, STATUS_USAGE,
                         "--module: '%.80s' is no module's name; give one after = and nothing "
                         "behind it",
                         rest);
    /* The loader looks in the system's folders for a name without a slash. */
    bool bare = !memchr(text, '/', len);
    if (len + 3 > sizeof(req->path))
        return error_set(err, STATUS_USAGE, "--module: the file's name is too long");
    snprintf(req->path, sizeof(req->path), "%s%.*s", bare ? "./" : "", (int)len, text);
    if (rest)
        snprintf(req->name, sizeof(req->name), "%s", rest);
    return 0;
}

static size_t list_len(const struct module *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

static size_t list_index(const struct module *const *list, const char *name)
{
    size_t i = 0;

    while (list[i] && strcmp(list[i]->name, name) != 0)
        i++;
    return i;
}

static bool list_has(const struct module *const *list, const struct module *module)
{
    while (*list && *list != module)
        list++;
    return *list != NULL;
}

/* Puts the module where the request wants it; the list has room for it. */
static int list_place(const struct module **list, const struct module *module,
                      const struct request *req, struct error *err)
{
    size_t end = list_len(list), at = end;
    size_t same = list_index(list, module->name);

    if (req->name[0] != '\0') {
        at = list_index(list, req->name);
        if (at == end)
            return error_set(err, STATUS_CONFIG,
                             "--module %s: there is no module '%s' to %s; --list-modules lists "
                             "them",
                             req->path, req->name, req->replaces ? "replace" : "stand before");
    }
    if (same != end && !(req->replaces && same == at))
        return error_set(err, STATUS_CONFIG,
                         "--module %s: there is a module '%s' already; load it once, with "
                         "replaces=%s, or name it otherwise",
                         req->path, module->name, module->name);
    if (req->replaces && req->name[0] != '\0') {
        list[at] = module;
        return 0;
    }
    for (size_t i = end + 1; i > at; i--)
        list[i] = list[i - 1];
    list[at] = module;
    return 0;
}

/* Was the file built against these headers? */
static int file_check(const struct module_file *file, const char *path, struct error *err)
{
    static const uint32_t layout[MODULE_FILE_SIZES] = MODULE_FILE_LAYOUT;

    if (file->version != MODULE_FILE_VERSION)
        return error_set(err, STATUS_DATA,
                         "--module %s: it was built for version %u of the module interface, "
                         "this is version %d; build it again with this Tollgate's headers",
                         path, file->version, MODULE_FILE_VERSION);
    if (memcmp(file->size, layout, sizeof(layout)) != 0)
        return error_set(err, STATUS_DATA,
                         "--module %s: it was built with other headers than this Tollgate's; "
                         "build it again with this one's",
                         path);
    if (!file->module || !file->module->name || !file->module->name[0])
        return error_set(err, STATUS_DATA, "--module %s: it brings no module with a name",
                         path);
    return 0;
}

#ifdef STATIC_BUILD
static void *file_load(const char *path, struct error *err)
{
    error_set(err, STATUS_UNAVAILABLE,
              "--module %s: this build is static and cannot load modules", path);
    return NULL;
}

static void file_unload(void *handle)
{
    (void)handle;
}

static const struct module_file *file_symbol(void *handle)
{
    (void)handle;
    return NULL;
}
#else
static void *file_load(const char *path, struct error *err)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char *why = handle ? NULL : dlerror();

    if (!handle)
        error_set(err, STATUS_NO_INPUT, "--module %s: cannot be loaded: %s", path,
                  why ? why : "no reason known");
    return handle;
}

static void file_unload(void *handle)
{
    dlclose(handle);
}

static const struct module_file *file_symbol(void *handle)
{
    return dlsym(handle, "tollgate_module");
}
#endif

static int file_open(struct module_files *files, const char *text, struct error *err)
{
    struct request req;
    int rc = request_parse(text, &req, err);

    if (rc != 0)
        return rc;
    void *handle = file_load(req.path, err);
    if (!handle)
        return -ENOENT;
    for (unsigned i = 0; i < files->n; i++)
        if (files->handle[i] == handle)
            rc = error_set(err, STATUS_CONFIG,
                           "--module %s: it is loaded already; name it once", req.path);
    files->handle[files->n] = handle;
    files->loaded[files->n++] = NULL;
    if (rc != 0)
        return rc;
    const struct module_file *file = file_symbol(handle);
    if (!file)
        return error_set(err, STATUS_DATA,
                         "--module %s: it is no module of Tollgate: it has no symbol "
                         "tollgate_module; end its source with MODULE_FILE(...)",
                         req.path);
    rc = file_check(file, req.path, err);
    if (rc != 0)
        return rc;
    files->loaded[files->n - 1] = file->module;
    return list_place(files->list, file->module, &req, err);
}

int module_files_open(struct vm *vm, const struct module *const *list, struct error *err)
{
    const struct vm_config *config = vm->config;
    struct module_files *files = calloc(1, sizeof(*files));
    size_t n = list_len(list);
    int rc = 0;

    if (!files)
        return error_set(err, STATUS_OS, "--module: no memory");
    vm->module_files = files;
    files->list = calloc(n + config->nmodule_files + 1, sizeof(void *));
    if (!files->list) {
        module_files_close(vm);
        return error_set(err, STATUS_OS, "--module: no memory");
    }
    for (size_t i = 0; i < n; i++)
        files->list[i] = list[i];
    for (unsigned i = 0; rc == 0 && i < config->nmodule_files; i++)
        rc = file_open(files, config->module_file[i], err);
    if (rc != 0)
        module_files_close(vm);
    return rc;
}

static const struct module_instance *instance_find(const struct vm *vm,
                                                   const struct module *module)
{
    for (unsigned i = 0; i < vm->ninstances; i++)
        if (vm->instance[i].module == module)
            return &vm->instance[i];
    return NULL;
}

/* What comes from the host through a module of unknown make, two runs could not share. */
static int deterministic_check(const struct module *module, struct error *err)
{
    for (size_t i = 0; i < module->ncalls; i++)
        if (module->calls[i].effects & CALL_READS_HOST)
            return error_set(
                err, STATUS_CONFIG,
                "--deterministic: module %s is not part of this build, and its call "
                "%s reads the host; leave it out of a deterministic run",
                module->name, module->calls[i].name);
    return 0;
}

int module_files_check(struct vm *vm, struct error *err)
{
    const struct module_files *files = vm->module_files;
    int rc = 0;

    for (unsigned i = 0; files && rc == 0 && i < files->n; i++) {
        const struct module *module = files->loaded[i];

        if (!list_has(files->list, module))
            continue; /* a later file has replaced it */
        if (!instance_find(vm, module)) {
            rc = error_set(err, STATUS_CONFIG,
                           "--module: module %s is not in this machine: it is for another kind "
                           "of start, or --without names it, or this host lacks what it needs",
                           module->name);
        } else if (vm->config->deterministic) {
            rc = deterministic_check(module, err);
        }
    }
    if (rc == 0 && (vm->config->deterministic || vm->config->load_state))
        rc = module_files_can_save(vm, err);
    return rc;
}

int module_files_can_save(const struct vm *vm, struct error *err)
{
    const struct module_files *files = vm->module_files;

    for (unsigned i = 0; files && i < files->n; i++) {
        const struct module_instance *inst = instance_find(vm, files->loaded[i]);

        if (inst && inst->self && (!inst->module->save || !inst->module->load))
            return error_set(err, STATUS_CONFIG,
                             "module %s has state and cannot save it (it has no save or no "
                             "load); leave it out of a deterministic or saved machine",
                             inst->module->name);
    }
    return 0;
}

void module_files_close(struct vm *vm)
{
    struct module_files *files = vm->module_files;

    if (!files)
        return;
    while (files->n > 0)
        file_unload(files->handle[--files->n]);
    free(files->list);
    free(files);
    vm->module_files = NULL;
}
