/* elf.c: static RISC-V ELF64 executables into guest memory. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/loader.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "vmm/le.h"

/* Structures are copied out of the file as they are: the hosts we build for are little-endian.
 */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "ELF structures need byte swapping");

/* More than any linker writes, and few enough that every pair can be compared. */
#define ELF_PHDRS_MAX 256

/* A file that is being loaded. The ELF and psABI specifications name the fields. */
struct elf {
    struct mem *mem;
    const char *what;
    const uint8_t *data;
    size_t size;
    unsigned machine; /* EM_* that is wanted */
    struct error *err;
    Elf64_Ehdr head;
};

static bool in_file(const struct elf *elf, uint64_t offset, uint64_t len)
{
    return offset <= elf->size && len <= elf->size - offset;
}

static Elf64_Phdr phdr_at(const struct elf *elf, unsigned i)
{
    Elf64_Phdr ph;
    memcpy(&ph, elf->data + elf->head.e_phoff + (size_t)i * sizeof(ph), sizeof(ph));
    return ph;
}

/* Segment i when it takes memory. */
static bool load_segment(const struct elf *elf, unsigned i, Elf64_Phdr *ph)
{
    *ph = phdr_at(elf, i);
    return ph->p_type == PT_LOAD && ph->p_memsz > 0;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386: return "x86";
    case EM_X86_64: return "x86-64";
    case EM_ARM: return "Arm";
    case EM_AARCH64: return "AArch64";
    case EM_MIPS: return "MIPS";
    case EM_PPC: return "PowerPC";
    case EM_PPC64: return "PowerPC 64";
    case EM_S390: return "s390";
    case EM_SPARC:
    case EM_SPARCV9: return "SPARC";
    case 258: return "LoongArch"; /* EM_LOONGARCH, newer than the oldest elf.h we build with */
    default: return "another machine";
    }
}

static int check_ident(const struct elf *elf)
{
    const uint8_t *id = elf->data;
    if (elf->size < SELFMAG || memcmp(id, ELFMAG, SELFMAG) != 0)
        return error_set(elf->err, STATUS_DATA, "%s is not an ELF file", elf->what);
    if (elf->size < EI_NIDENT + 4)
        return error_set(elf->err, STATUS_DATA, "%s is truncated inside its ELF header",
                         elf->what);
    bool big = id[EI_DATA] == ELFDATA2MSB;
    unsigned machine =
        big ? id[EI_NIDENT + 2] * 256u + id[EI_NIDENT + 3]
            : id[EI_NIDENT + 3] * 256u + id[EI_NIDENT + 2]; /* e_machine, in both classes */
    if (machine != elf->machine)
        return error_set(elf->err, STATUS_DATA, "%s is an ELF file for %s; a%s one is needed",
                         elf->what, machine_name(machine),
                         elf->machine == EM_RISCV ? " RISC-V" : "n x86-64");
    if (id[EI_CLASS] != ELFCLASS64 || id[EI_DATA] != ELFDATA2LSB)
        return error_set(elf->err, STATUS_DATA,
                         "%s is a %s RISC-V ELF file; a 64-bit little-endian one is needed",
                         elf->what, id[EI_CLASS] != ELFCLASS64 ? "32-bit" : "big-endian");
    if (elf->size < sizeof(Elf64_Ehdr))
        return error_set(elf->err, STATUS_DATA, "%s is truncated inside its ELF header",
                         elf->what);
    return 0;
}

/* Why a file that is no executable cannot run, or NULL. */
static const char *type_problem(unsigned type)
{
    switch (type) {
    case ET_EXEC: return NULL;
    case ET_REL: return "an object file; link it first";
    case ET_CORE: return "a core dump; give an executable";
    case ET_DYN:
        return "position-independent or dynamic; link it statically at a fixed address "
               "(-static -no-pie), and of a Linux kernel give the Image";
    default: return "of an unknown ELF type; an executable is needed";
    }
}

static int check_head(const struct elf *elf)
{
    const Elf64_Ehdr *head = &elf->head;
    const char *problem = type_problem(head->e_type);
    if (problem)
        return error_set(elf->err, STATUS_DATA, "%s is %s", elf->what, problem);
    if (head->e_flags & EF_RISCV_RVE)
        return error_set(elf->err, STATUS_DATA,
                         "%s is built for RV64E with 16 registers; build it for RV64I",
                         elf->what);
    if ((head->e_flags & EF_RISCV_FLOAT_ABI) == EF_RISCV_FLOAT_ABI_QUAD)
        return error_set(elf->err, STATUS_DATA,
                         "%s uses the quad-precision ABI (lp64q); build it for lp64d or lp64",
                         elf->what);
    if (head->e_phnum == 0 || head->e_phnum > ELF_PHDRS_MAX ||
        head->e_phentsize != sizeof(Elf64_Phdr))
        return error_set(elf->err, STATUS_DATA,
                         "%s has %u program headers of %u bytes; 1 to %u of %zu are possible",
                         elf->what, head->e_phnum, head->e_phentsize, ELF_PHDRS_MAX,
                         sizeof(Elf64_Phdr));
    if (!in_file(elf, head->e_phoff, (uint64_t)head->e_phnum * sizeof(Elf64_Phdr)))
        return error_set(elf->err, STATUS_DATA,
                         "%s is truncated: its program headers lie beyond its end", elf->what);
    return 0;
}

static int check_segment(const struct elf *elf, unsigned i, const Elf64_Phdr *ph)
{
    if (ph->p_filesz > ph->p_memsz)
        return error_set(elf->err, STATUS_DATA,
                         "%s is damaged: segment %u is larger in the file than in memory",
                         elf->what, i);
    if (!in_file(elf, ph->p_offset, ph->p_filesz))
        return error_set(elf->err, STATUS_DATA,
                         "%s is truncated: segment %u lies beyond its end", elf->what, i);
    if (ph->p_memsz > UINT64_MAX - ph->p_paddr || ph->p_memsz > UINT64_MAX - ph->p_vaddr)
        return error_set(elf->err, STATUS_DATA,
                         "%s is damaged: segment %u ends after the last address", elf->what, i);
    if (!mem_valid(elf->mem, ph->p_paddr, ph->p_memsz))
        return image_outside(elf->mem, elf->what, ph->p_paddr, ph->p_memsz, elf->err);
    for (unsigned j = 0; j < i; j++) {
        Elf64_Phdr other;
        if (load_segment(elf, j, &other) && ph->p_paddr < other.p_paddr + other.p_memsz &&
            other.p_paddr < ph->p_paddr + ph->p_memsz)
            return error_set(elf->err, STATUS_DATA, "%s is damaged: segments %u and %u overlap",
                             elf->what, j, i);
    }
    return 0;
}

/* Checks all segments before the first byte is written. */
static int check_segments(const struct elf *elf)
{
    unsigned loaded = 0;
    for (unsigned i = 0; i < elf->head.e_phnum; i++) {
        Elf64_Phdr ph;
        if (load_segment(elf, i, &ph)) {
            int r = check_segment(elf, i, &ph);
            if (r < 0)
                return r;
            loaded++;
        } else if (ph.p_type == PT_INTERP) {
            return error_set(elf->err, STATUS_DATA,
                             "%s is dynamically linked; link it with -static", elf->what);
        }
    }
    if (loaded == 0)
        return error_set(elf->err, STATUS_DATA,
                         "%s has nothing to load: no segment of it is used", elf->what);
    return 0;
}

/* Where the segment that holds a virtual address puts it in memory; false: none does. */
static bool translate(const struct elf *elf, uint64_t vaddr, gpa_t *gpa)
{
    for (unsigned i = 0; i < elf->head.e_phnum; i++) {
        Elf64_Phdr ph;
        if (load_segment(elf, i, &ph) && vaddr - ph.p_vaddr < ph.p_memsz) {
            *gpa = ph.p_paddr + (vaddr - ph.p_vaddr);
            return true;
        }
    }
    return false;
}

/* The entry as a physical address. A few linker scripts give it as one already. */
static int find_entry(const struct elf *elf, gpa_t *entry)
{
    uint64_t at = elf->head.e_entry;
    bool found = translate(elf, at, entry);
    for (unsigned i = 0; !found && i < elf->head.e_phnum; i++) {
        Elf64_Phdr ph;
        found = load_segment(elf, i, &ph) && at - ph.p_paddr < ph.p_memsz;
        *entry = at;
    }
    if (!found)
        return error_set(elf->err, STATUS_DATA,
                         "%s has its entry point 0x%" PRIx64 " outside all of its segments",
                         elf->what, at);
    if (*entry % 2 != 0 && elf->machine == EM_RISCV)
        return error_set(elf->err, STATUS_DATA, "%s has an odd entry point, 0x%" PRIx64,
                         elf->what, at);
    return 0;
}

static int copy_segments(const struct elf *elf, struct image *image)
{
    for (unsigned i = 0; i < elf->head.e_phnum; i++) {
        Elf64_Phdr ph;
        if (!load_segment(elf, i, &ph))
            continue;
        int r = mem_write(elf->mem, ph.p_paddr, elf->data + ph.p_offset, ph.p_filesz);
        if (r == 0)
            r = mem_zero(elf->mem, ph.p_paddr + ph.p_filesz, ph.p_memsz - ph.p_filesz);
        if (r < 0)
            return image_outside(elf->mem, elf->what, ph.p_paddr, ph.p_memsz, elf->err);
        if (ph.p_paddr < image->first)
            image->first = ph.p_paddr;
        if (ph.p_paddr + ph.p_memsz > image->last)
            image->last = ph.p_paddr + ph.p_memsz;
        /* The headers are in memory when the segment that holds them is. */
        uint64_t size = (uint64_t)elf->head.e_phnum * sizeof(ph);
        uint64_t into = elf->head.e_phoff - ph.p_offset;
        if (elf->head.e_phoff >= ph.p_offset && into <= ph.p_filesz &&
            size <= ph.p_filesz - into) {
            image->phdrs = ph.p_paddr + into;
            image->phnum = elf->head.e_phnum;
        }
    }
    return 0;
}

static bool section_at(const struct elf *elf, unsigned i, Elf64_Shdr *sh)
{
    uint64_t offset = (uint64_t)i * sizeof(*sh);
    if (i >= elf->head.e_shnum || elf->head.e_shentsize != sizeof(*sh) ||
        elf->head.e_shoff > elf->size || !in_file(elf, elf->head.e_shoff + offset, sizeof(*sh)))
        return false;
    memcpy(sh, elf->data + elf->head.e_shoff + offset, sizeof(*sh));
    return true;
}

/* Looks a defined symbol up in one symbol table. */
static bool symtab_find(const struct elf *elf, const Elf64_Shdr *symtab, const char *name,
                        uint64_t *value)
{
    Elf64_Shdr strtab;
    size_t len = strlen(name) + 1;
    if (!section_at(elf, symtab->sh_link, &strtab) ||
        !in_file(elf, strtab.sh_offset, strtab.sh_size) || strtab.sh_size < len ||
        !in_file(elf, symtab->sh_offset, symtab->sh_size))
        return false;
    const uint8_t *names = elf->data + strtab.sh_offset;
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symtab->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym sym;
        memcpy(&sym, elf->data + symtab->sh_offset + at, sizeof(sym));
        if (sym.st_shndx != SHN_UNDEF && sym.st_name <= strtab.sh_size - len &&
            memcmp(names + sym.st_name, name, len) == 0) {
            *value = sym.st_value;
            return true;
        }
    }
    return false;
}

/*
 * A symbol's physical address, or 0. Nothing needs sections to load: damaged ones are no error.
 * A symbol that ends something belongs to the byte before it: `back` is 1, else 0.
 */
static gpa_t find_symbol(const struct elf *elf, const char *name, unsigned back)
{
    for (unsigned i = 0; i < elf->head.e_shnum; i++) {
        Elf64_Shdr sh;
        uint64_t value;
        gpa_t gpa;
        if (!section_at(elf, i, &sh))
            return 0;
        if (sh.sh_type == SHT_SYMTAB && symtab_find(elf, &sh, name, &value))
            return translate(elf, value - back, &gpa) ? gpa + back : 0;
    }
    return 0;
}

/* Notes are padded to 4 bytes, whatever the segment's alignment says (Linux writes them so). */
#define NOTE_ALIGN(n) (((uint64_t)(n) + 3) & ~UINT64_C(3))

/* Xen, public/elfnote.h: the physical 32-bit entry point. */
#define NOTE_XEN_PHYS32_ENTRY 18

/* The entry point that one segment of notes tells, or 0. */
static gpa_t notes_pvh(const struct elf *elf, const Elf64_Phdr *ph)
{
    uint64_t at = 0;
    Elf64_Nhdr note;

    if (!in_file(elf, ph->p_offset, ph->p_filesz))
        return 0;
    while (ph->p_filesz - at >= sizeof(note)) {
        const uint8_t *data = elf->data + ph->p_offset + at;

        memcpy(&note, data, sizeof(note));
        uint64_t desc = sizeof(note) + NOTE_ALIGN(note.n_namesz);
        uint64_t size = desc + NOTE_ALIGN(note.n_descsz);
        if (size > ph->p_filesz - at)
            return 0;
        if (note.n_type == NOTE_XEN_PHYS32_ENTRY && note.n_namesz == 4 &&
            memcmp(data + sizeof(note), "Xen", 4) == 0 && note.n_descsz >= 4)
            return le_get32(data + desc);
        at += size;
    }
    return 0;
}

/* The entry point of a PVH guest, inside of what was loaded; 0: it is none. */
static gpa_t find_pvh(const struct elf *elf)
{
    gpa_t entry = 0;

    for (unsigned i = 0; i < elf->head.e_phnum && entry == 0; i++) {
        Elf64_Phdr ph = phdr_at(elf, i);
        if (ph.p_type == PT_NOTE)
            entry = notes_pvh(elf, &ph);
    }
    for (unsigned i = 0; i < elf->head.e_phnum; i++) {
        Elf64_Phdr ph;
        if (load_segment(elf, i, &ph) && entry - ph.p_paddr < ph.p_memsz)
            return entry;
    }
    return 0;
}

int elf_load_for(struct mem *mem, unsigned machine, const char *what, const uint8_t *data,
                 size_t size, struct image *image, struct error *err)
{
    struct elf elf = {
        .mem = mem, .what = what, .data = data, .size = size, .machine = machine, .err = err};
    int r = check_ident(&elf);
    if (r < 0)
        return r;
    memcpy(&elf.head, data, sizeof(elf.head));
    *image = (struct image){.kind = IMAGE_ELF, .first = UINT64_MAX};
    r = check_head(&elf);
    if (r == 0)
        r = check_segments(&elf);
    if (r == 0)
        r = find_entry(&elf, &image->entry);
    if (r == 0)
        r = copy_segments(&elf, image);
    if (r == 0) {
        image->tohost = find_symbol(&elf, "tohost", 0);
        image->fromhost = find_symbol(&elf, "fromhost", 0);
        image->begin_signature = find_symbol(&elf, "begin_signature", 0);
        image->end_signature = find_symbol(&elf, "end_signature", 1);
        image->pvh = machine == EM_X86_64 ? find_pvh(&elf) : 0;
    }
    return r;
}

int elf_load(struct mem *mem, const char *what, const uint8_t *data, size_t size,
             struct image *image, struct error *err)
{
    return elf_load_for(mem, EM_RISCV, what, data, size, image, err);
}