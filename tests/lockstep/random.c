/* random.c: random programs as ELF files, which pass through all three levels. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/lockstep/random.h"
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "tests/diff/program.h"

#define TABLE      (PROGRAM_CODE + 0x9000)
#define ENTRY      (PROGRAM_CODE + 0xa000)
#define IMAGE_SIZE 0x22000u

/*
 * Traps go on behind the word that trapped, as sret then does. The word's address tells the
 * level: every second one M-mode, so that guards change, the others S- and U-mode by turns.
 */
static const uint32_t handler[] = {
    0x340f9ff3, /* csrrw x31, mscratch, x31 */
    0x34102ff3, /* csrr x31, mepc */
    0xffcfff93, /* andi x31, x31, -4 */
    0x004f8f93, /* addi x31, x31, 4 */
    0x341f9073, /* csrw mepc, x31 */
    0x141f9073, /* csrw sepc, x31 */
    0x00002fb7, /* lui x31, 2 */
    0x800f8f93, /* addi x31, x31, -2048: both bits of MPP */
    0x300fa073, /* csrs mstatus, x31 */
    0x34102ff3, /* csrr x31, mepc */
    0x03cf9f93, /* slli x31, x31, 60 */
    0x000fcc63, /* bltz x31, 1f: M-mode */
    0x033fdf93, /* srli x31, x31, 51: the lower bit of MPP or nothing */
    0x7fff8f93, /* addi x31, x31, 2047 */
    0x7fff8f93, /* addi x31, x31, 2047 */
    0x002f8f93, /* addi x31, x31, 2: and the upper */
    0x300fb073, /* csrc mstatus, x31 */
    0x340f9ff3, /* 1: csrrw x31, mscratch, x31 */
    0x30200073, /* mret */
};

#define REG_T5 30u
#define REG_T6 31u

static uint32_t jal_word(int32_t offset)
{
    uint32_t o = (uint32_t)offset;

    return 0x6f | (o & 0xff000) | (o >> 11 & 1) << 20 | (o >> 1 & 0x3ff) << 21 |
           (o >> 20 & 1) << 31;
}

/* What runs first: it sets the trap vector, FS and the registers, then enters the program. */
static void make_entry(uint32_t *code)
{
    static const uint32_t head[] = {
        0x00000f97, /* auipc x31, 0: ENTRY */
        0xffffef37, /* lui x30, -2 */
        0x01ef8f33, /* add x30, x31, x30: PROGRAM_HANDLER */
        0x305f1073, /* csrw mtvec, x30 */
        0x20000f37, /* lui x30, 0x20000 */
        0x3b0f1073, /* csrw pmpaddr0, x30 */
        0xfff00f13, /* li x30, -1 */
        0x3b1f1073, /* csrw pmpaddr1, x30 */
        0x00002f37, /* lui x30, 2 */
        0xf88f0f13, /* addi x30, x30, -120: below memory nothing, U-mode has the rest */
        0x3a0f1073, /* csrw pmpcfg0, x30 */
        0x00006f37, /* lui x30, 6 */
        0x300f2073, /* csrs mstatus, x30 */
        0xffff6f37, /* lui x30, -10 */
        0x01ef8f33, /* add x30, x31, x30: PROGRAM_CODE, for mret and sret before a trap */
        0x341f1073, /* csrw mepc, x30 */
        0x141f1073, /* csrw sepc, x30 */
        0xffffff37, /* lui x30, -1 */
        0x01ef8fb3, /* add x31, x31, x30: TABLE */
    };
    uint32_t n = sizeof(head) / sizeof(head[0]);

    memcpy(code, head, sizeof(head));
    for (uint32_t i = 0; i < 32; i++)
        code[n++] = (256 + 8 * i) << 20 | REG_T6 << 15 | 3 << 12 | i << 7 | 0x07; /* fld */
    for (uint32_t i = 1; i < 32; i++)
        code[n++] = (8 * i) << 20 | REG_T6 << 15 | 3 << 12 | i << 7 | 0x03; /* ld */
    code[n] = jal_word((int32_t)(PROGRAM_CODE - ENTRY) - 4 * (int32_t)n);
}

static void make_image(uint8_t *image, uint64_t seed)
{
    static uint32_t code[PROGRAM_WORDS];
    uint64_t table[64];

    random_seed(seed);
    program_make(code, true);
    memcpy(image, code, sizeof(code));
    memcpy(image + (PROGRAM_HANDLER - PROGRAM_CODE), handler, sizeof(handler));
    make_entry((uint32_t *)(void *)(image + (ENTRY - PROGRAM_CODE)));
    for (unsigned i = 0; i < 32; i++) {
        table[i] = random_below(3) == 0 ? random_below(64) : random_next();
        table[32 + i] = random_next() | (random_below(2) ? 0xffffffff00000000u : 0);
    }
    table[PROGRAM_BASE_REG] = PROGRAM_DATA;
    table[PROGRAM_CODE_REG] = PROGRAM_CODE;
    memcpy(image + (TABLE - PROGRAM_CODE), table, sizeof(table));
    for (uint64_t at = PROGRAM_DATA - 2048; at < PROGRAM_DATA + 2048; at += 8) {
        uint64_t value = random_next();

        memcpy(image + (at - PROGRAM_CODE), &value, 8);
    }
}

/* With a section table, which Spike asks for. */
int random_write(uint64_t seed, const char *path)
{
    static const char names[] = "\0.shstrtab";
    static struct {
        Elf64_Ehdr head;
        Elf64_Phdr segment;
        Elf64_Shdr section[2];
        char names[16];
        _Alignas(16) uint8_t image[IMAGE_SIZE];
    } out;
    FILE *file = fopen(path, "wb");
    bool good;

    memcpy(out.head.e_ident, ELFMAG "\2\1\1", 7);
    out.head.e_type = ET_EXEC;
    out.head.e_machine = EM_RISCV;
    out.head.e_version = 1;
    out.head.e_entry = ENTRY;
    out.head.e_phoff = sizeof(out.head);
    out.head.e_shoff = sizeof(out.head) + sizeof(out.segment);
    out.head.e_ehsize = sizeof(out.head);
    out.head.e_phentsize = sizeof(out.segment);
    out.head.e_phnum = 1;
    out.head.e_shentsize = sizeof(out.section[0]);
    out.head.e_shnum = 2;
    out.head.e_shstrndx = 1;
    out.segment.p_type = PT_LOAD;
    out.segment.p_flags = PF_R | PF_W | PF_X;
    out.segment.p_offset = (uint64_t)((char *)out.image - (char *)&out);
    out.segment.p_vaddr = out.segment.p_paddr = PROGRAM_CODE;
    out.segment.p_filesz = out.segment.p_memsz = IMAGE_SIZE;
    out.section[1].sh_name = 1;
    out.section[1].sh_type = SHT_STRTAB;
    out.section[1].sh_offset = (uint64_t)((char *)out.names - (char *)&out);
    out.section[1].sh_size = sizeof(names);
    memcpy(out.names, names, sizeof(names));
    make_image(out.image, seed);
    good = file && fwrite(&out, sizeof(out), 1, file) == 1;
    if (!file || fclose(file) != 0 || !good) {
        perror(path);
        return 2;
    }
    return 0;
}
