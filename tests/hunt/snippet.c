/* snippet.c: what random instructions alone would hardly ever come to: loops, calls, changes of
 * mode, of page tables and of code.
 */
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/hunt/snippet.h"

enum { SNIPPETS_A_PROGRAM = 72 };
enum { SIE_BIT = 2, SPP_BIT = 256, STIMECMP = 0x14d, SENVCFG = 0x10a, FRM = 2, FFLAGS = 1 };

/* --- loops and calls, around what stands there --- */

static void put_loop(struct pen *p)
{
    unsigned body = 1 + random_below(11);

    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(30))));
    p->at += body;
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, -4 * (int)(body + 1)));
}

/* To a function and back, now and then not to where the call came from. */
static void put_call(struct pen *p)
{
    put(p, AS_J(RA, 12));
    p->at++;
    put(p, AS_J(ZERO, 16));
    p->at++;
    put(p, random_below(4) ? AS_NOP : AS_I(addi, RA, RA, 4));
    put(p, AS_I(jalr, ZERO, RA, 0));
}

/* A loop of calls: what is predicted for returns has to hold for a while. */
static void put_calls(struct pen *p)
{
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(20))));
    put(p, AS_J(RA, 16));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, -8));
    put(p, AS_J(ZERO, 24));
    put(p, AS_I(addi, T0, RA, 0));
    put(p, AS_J(RA, 12));
    put(p, AS_I(addi, RA, T0, 0));
    put(p, AS_I(jalr, ZERO, RA, 0));
    put(p, AS_I(jalr, ZERO, RA, 0));
}

/* By a register, to one of two places in turns. */
static void put_switch(struct pen *p)
{
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(20))));
    put(p, AS_I(andi, T0, T2, 1));
    put(p, AS_I(slli, T0, T0, 3));
    put(p, AS_U(auipc, T1, 0));
    put(p, AS_R(add, T0, T0, T1));
    put(p, AS_I(jalr, random_below(2) ? T1 : ZERO, T0, 12));
    put(p, AS_I(addi, A0, A0, 1));
    put(p, AS_J(ZERO, 8));
    put(p, AS_I(xori, A0, A0, 5));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, -9 * 4));
}

/* A jump, or a call, over so many words, in one of its forms; t2 is not 0. */
static void put_far_jump(struct pen *p, int words, bool call)
{
    unsigned link = call ? RA : T1;

    if (random_below(2)) {
        put(p, AS_U(auipc, link, (uint32_t)(4 * words + 0x800) >> 12));
        put(p, AS_I(jalr, call ? RA : ZERO, link, ((4 * words + 0x800) & 0xfff) - 0x800));
    } else if (!call && words >= -1024 && words < 1024) {
        put(p, AS_B(bne, T2, ZERO, 4 * words));
    } else {
        put(p, AS_J(call ? RA : ZERO, 4 * words));
    }
}

/*
 * A loop that goes to the program's other page and back: what the translator links, and fences
 * that take it away.
 */
static void put_far(struct pen *p)
{
    const uint32_t *code = p->scene->code;
    int border = (int)(MEM_PAGE_SIZE - p->scene->shift) / 4, here = (int)(p->at - code);
    int there = here < border ? border + 1 + (int)random_below(PROGRAM_WORDS - 1100)
                              : (int)random_below((unsigned)border - 16);
    struct pen far = {.at = p->at + there - here, .scene = p->scene};
    bool call = random_below(2);

    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(60))));
    put_far_jump(p, there - here - 1, call);
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, 4 * (here + 1 - (int)(p->at - code))));
    put(&far, AS_I(xori, A0, A0, (int)random_below(64)));
    if (random_below(3) == 0)
        put(&far, random_below(2) ? AS_N(fence_i) : AS_R(sfence_vma, ZERO, ZERO, ZERO));
    put(&far, call ? AS_I(jalr, ZERO, RA, 0) : AS_J(ZERO, 4 * (int)(p->at - 2 - far.at)));
}

/* --- memory --- */

static void put_reservation(struct pen *p)
{
    bool word = random_below(2);

    put(p, word ? AS_R(lr_w, T0, S0, ZERO) : AS_R(lr_d, T0, S0, ZERO));
    put(p, AS_I(addi, T0, T0, (int)random_below(3)));
    if (random_below(3) == 0)
        p->at++;
    if (random_below(4) == 0)
        put(p, AS_S(sd, T0, S0, (int)random_below(2) * 8));
    put(p, word ? AS_R(sc_w, T1, S0, T0) : AS_R(sc_d, T1, S0, T0));
}

/* Around the ends of the page of data. */
static void put_crossing(struct pen *p)
{
    int offset = (random_below(2) ? -2048 : 2032) + (int)random_below(16);

    switch (random_below(6)) {
    case 0: put(p, AS_I(ld, A0 + random_below(6), S0, offset)); break;
    case 1: put(p, AS_I(lw, A0 + random_below(6), S0, offset)); break;
    case 2: put(p, AS_I(lhu, A0 + random_below(6), S0, offset)); break;
    case 3: put(p, AS_S(sd, A0 + random_below(6), S0, offset)); break;
    case 4: put(p, AS_S(sw, A0 + random_below(6), S0, offset)); break;
    default: put(p, AS_I(fld, random_below(32), S0, offset)); break;
    }
}

/*
 * Loads and stores off a register that is near the end of a page and may be written between
 * them, also by a load of what was stored.
 */
static void put_members(struct pen *p)
{
    int at = (int)random_below(64) - 32;

    put(p, AS_I(addi, T0, S0, random_below(2) ? at : -2048 + (int)random_below(64)));
    for (unsigned i = 0; i < 10; i++) {
        unsigned reg = A0 + random_below(6);

        at = (int)random_below(64) - 32;
        switch (random_below(10)) {
        case 0: put(p, AS_I(addi, T0, T0, at)); break;
        case 1:
            put(p, AS_S(sd, T0, T0, at));
            put(p, AS_I(ld, T0, T0, at));
            break;
        case 2: put(p, AS_I(addiw, reg, A0 + random_below(6), 0)); break;
        case 3: put(p, AS_R(add, reg, reg, A0 + random_below(6))); break;
        case 4: put(p, AS_B(bltu, reg, A5, 8)); break;
        case 5: put(p, AS_I(lw, reg, T0, at)); break;
        case 6: put(p, AS_I(lbu, reg, T0, at)); break;
        case 7: put(p, AS_S(sw, reg, T0, at)); break;
        case 8: put(p, AS_S(sd, reg, T0, at)); break;
        default: put(p, AS_I(ld, reg, T0, at)); break;
        }
    }
}

/* Sign extensions of what may be a word already, in a loop that makes it none. */
static void put_extensions(struct pen *p)
{
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(20))));
    for (unsigned i = 0; i < 4; i++) {
        unsigned to = A0 + random_below(6), from = A0 + random_below(6);

        switch (random_below(9)) {
        case 0: put(p, AS_I(lwu, to, S0, (int)random_below(64))); break;
        case 1: put(p, AS_I(andi, to, from, (int)random_below(128) - 64)); break;
        case 2: put(p, AS_I(srli, to, from, (int)(30 + random_below(6)))); break;
        case 3: put(p, AS_I(xori, to, from, (int)random_below(128) - 64)); break;
        case 4: put(p, AS_R(and, to, from, A0 + random_below(6))); break;
        case 5: put(p, AS_R(sh3add, to, from, A0 + random_below(6))); break;
        case 6: put(p, AS_I(lw, to, S0, (int)random_below(64))); break;
        case 7: put(p, AS_R(amocas_q, to & ~1u, S0, A2)); break; /* writes two */
        default: put(p, AS_R(subw, to, from, A0 + random_below(6))); break;
        }
        put(p, AS_I(addiw, A0 + random_below(6), random_below(2) ? to : from, 0));
    }
    put(p, random_below(2) ? AS_NOP : AS_R(mul, A0, A1, A2));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, -40));
}

/* Copies a loop of doublewords. */
static void put_copy(struct pen *p)
{
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(40))));
    put(p, AS_I(addi, T0, S0, -(int)random_below(64)));
    put(p, AS_I(ld, T1, T0, (int)random_below(16)));
    put(p, AS_S(sd, T1, T0, 512 + (int)random_below(16)));
    put(p, AS_I(addi, T0, T0, 8));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, -16));
}

/* Through a ring of two elements, in one page or two, one of them perhaps over a page's end. */
static void put_ring(struct pen *p)
{
    unsigned at = random_below(2) ? A5 : T0; /* with a register of the host, or without */
    int one = -(int)random_below(512) * 4, two = (int)random_below(508) * 4;
    int member = (int)random_below(8);

    put(p, AS_I(addi, at, S0, one));
    put(p, AS_I(addi, T1, S0, two));
    put(p, AS_S(sd, at, S0, two));
    put(p, AS_S(sd, T1, S0, one));
    put(p, AS_I(addi, T2, ZERO, (int)(2 + random_below(40))));
    put(p, random_below(2) ? AS_I(lbu, A0, at, member) : AS_I(addi, T1, at, 0));
    put(p, random_below(4) ? AS_NOP : AS_S(sb, T2, at, 16));
    put(p, AS_I(ld, at, at, 0));
    put(p, AS_I(addi, T2, T2, -1));
    put(p, AS_B(bne, T2, ZERO, -16));
}

/* --- code --- */

/* Another word of the program to where it comes next, with a fence.i, or without. */
static void put_rewrite(struct pen *p)
{
    int from = 4 * (int)random_below(500);
    bool fenced = random_below(4) != 0;

    put(p, AS_I(lw, T0, S1, from + (int)p->scene->shift));
    put(p, AS_U(auipc, T1, 0));
    put(p, AS_S(sw, T0, T1, random_below(2) ? 12 : 8 + 4 * (int)random_below(12)));
    put(p, fenced ? AS_N(fence_i) : AS_NOP);
}

/* A page of code that was run is left, changed, and entered again. */
static void put_rewrite_far(struct pen *p)
{
    put(p, AS_I(lw, T0, S1, 4 * (int)random_below(500) + (int)p->scene->shift));
    put(p, AS_S(sw, T0, S1, 4 * (int)random_below(500) + (int)p->scene->shift));
    if (random_below(2))
        put(p, AS_N(fence_i));
}

/* --- privileges and translation --- */

/* Returns to the word behind, at any level that is lower. */
static void put_return(struct pen *p)
{
    bool machine = random_below(2);

    put(p, AS_U(auipc, T0, 0));
    put(p, AS_I(addi, T0, T0, 20));
    put(p, AS_CSRW(machine ? MEPC : SEPC, T0));
    put(p, AS_I(addi, T1, ZERO, random_below(2) ? SPP_BIT : 0));
    put(p, machine ? AS_N(mret) : AS_N(sret));
}

/* From S-mode to U-mode, to the same code at its other address. */
static void put_to_user(struct pen *p)
{
    put(p, AS_U(lui, T1, SCENE_LOW >> 12));
    put(p, AS_U(auipc, T0, 0));
    put(p, AS_I(addi, T0, T0, 36));
    put(p, AS_R(sub, T0, T0, T1));
    put(p, AS_CSRW(SEPC, T0));
    put(p, AS_I(addi, T0, ZERO, SPP_BIT));
    put(p, AS_CSR(csrrc, ZERO, SSTATUS, T0));
    put(p, AS_R(sub, S0, S0, T1));
    put(p, AS_R(sub, S1, S1, T1));
    put(p, AS_N(sret));
    if (random_below(2))
        put(p, AS_N(ecall));
}

/* What kernels do around copies from and to users, and around critical sections. */
static void put_status(struct pen *p)
{
    static const uint32_t upper[] = {0x40, 0x80, 6, 2}; /* SUM, MXR, FS, half of FS */
    unsigned csr = random_below(4) ? SSTATUS : MSTATUS;

    if (random_below(2)) {
        put(p, random_below(2) ? AS_CSR(csrrsi, T0, csr, SIE_BIT)
                               : AS_CSR(csrrci, T0, csr, SIE_BIT));
        return;
    }
    put(p, AS_U(lui, T0, upper[random_below(8) ? random_below(2) : random_below(4)]));
    put(p, random_below(2) ? AS_CSR(csrrs, T1, csr, T0) : AS_CSR(csrrc, T1, csr, T0));
    put(p, random_below(4) ? AS_I(ld, A0, S0, 8) : AS_I(fld, random_below(32), S0, 8));
    put(p, random_below(2) ? AS_CSR(csrrs, ZERO, csr, T0) : AS_CSR(csrrc, ZERO, csr, T0));
}

static void put_tables_at(struct pen *p)
{
    int64_t leaf = SCENE_TABLES + MEM_PAGE_SIZE * (p->scene->levels - 1);

    put(p, AS_U(lui, T0, (uint32_t)((PLAT_DRAM_BASE + leaf) >> 12)));
    put(p, AS_I(slli, T0, T0, 32));
    put(p, AS_I(srli, T0, T0, 32));
}

static uint32_t fence_of(unsigned how)
{
    switch (how) {
    case 0: return AS_R(sfence_vma, ZERO, S0, ZERO);
    case 1: return AS_R(sinval_vma, ZERO, ZERO, ZERO);
    default: return AS_R(sfence_vma, ZERO, ZERO, ZERO);
    }
}

/* A right of a page of data, or of the code, changes; with a fence. */
static void put_page_change(struct pen *p)
{
    unsigned page = random_below(4) ? 0x1f + random_below(4) : random_below(2);
    bool own = page == 0x20; /* the one that s0 points into, or its neighbour */

    if (p->scene->coherent) /* a fence may trap, or be jumped over */
        return;
    put_tables_at(p);
    put(p, AS_I(ld, T1, T0, (int)(8 * page)));
    put(p, AS_I(xori, T1, T1, 1 << random_below(8)));
    put(p, AS_S(sd, T1, T0, (int)(8 * page)));
    if (!p->scene->stale || random_below(2))
        put(p, fence_of(own && p->scene->stale ? random_below(3) : 1 + random_below(2)));
}

/* The address space's number, or nothing, is written to satp. */
static void put_satp(struct pen *p)
{
    put(p, AS_CSRR(T0, SATP));
    if (random_below(2)) {
        put(p, AS_I(addi, T1, ZERO, (int)random_below(4)));
        put(p, AS_I(slli, T1, T1, 44));
        put(p, AS_R(xor, T0, T0, T1));
    }
    put(p, AS_CSRW(SATP, T0));
    if (random_below(2))
        put(p,
            AS_R(sfence_vma, ZERO, random_below(2) ? S0 : ZERO, random_below(2) ? T2 : ZERO));
}

/* Any form of access to a CSR of kernels, which is as it was afterwards. */
static void put_csr(struct pen *p)
{
    static const uint16_t csrs[] = {
        SSTATUS, SIE,      STVEC, SCOUNTEREN, SSCRATCH,   SEPC,    SCAUSE, STVAL,
        SIP,     SENVCFG,  SATP,  MSTATUS,    MIE,        MTVEC,   MEPC,   MCAUSE,
        MTVAL,   MSCRATCH, MIP,   STIMECMP,   MCOUNTEREN, MEDELEG, MIDELEG};
    unsigned csr = csrs[random_below(sizeof(csrs) / sizeof(csrs[0]))];
    unsigned rd = random_below(3) ? A0 + random_below(6) : ZERO, rs1 = random_below(32);
    static const enum rv_insn_id forms[] = {RV_INSN_csrrw,  RV_INSN_csrrs,  RV_INSN_csrrc,
                                            RV_INSN_csrrwi, RV_INSN_csrrsi, RV_INSN_csrrci};

    put(p, AS_CSRR(T0, csr));
    put(p, as_i(forms[random_below(6)], rd, rs1, (int)csr));
    put(p, AS_CSRR(T1, csr));
    put(p, AS_CSRW(csr, T0));
}

/* --- time, devices, floating point, calls --- */

static void put_time(struct pen *p)
{
    static const unsigned counters[] = {CYCLE, TIME, INSTRET, 0xc03, 0xc04, 0xb00, 0xb02};

    if (random_below(2)) {
        put(p, AS_CSRR(A0 + random_below(6), counters[random_below(7)]));
        return;
    }
    put(p, AS_CSRR(T0, TIME));
    put(p, AS_I(addi, T0, T0, (int)random_below(8) - 1));
    put(p, AS_CSRW(STIMECMP, T0));
    put(p, AS_I(addi, T0, ZERO, 32));
    put(p, AS_CSR(csrrs, ZERO, SIE, T0));
}

/* The line status of the UART, and other registers that only tell. */
static void put_device(struct pen *p)
{
    put(p, AS_U(lui, T0, PLAT_UART_BASE >> 12));
    put(p, AS_I(lbu, A0 + random_below(6), T0, random_below(2) ? 5 : (int)random_below(8)));
    if (random_below(4) == 0)
        put(p, AS_S(sb, ZERO, T0, 7)); /* scratch */
}

static void put_rounding(struct pen *p)
{
    if (random_below(3) == 0)
        put(p, AS_CSR(csrrw, A0, FFLAGS, ZERO));
    else
        put(p, AS_CSR(csrrwi, T0, FRM, random_below(random_below(4) ? 5 : 8)));
}

/* SBI: Base, TIME, IPI to oneself, RFENCE of oneself, and what nobody has. */
static void put_call_monitor(struct pen *p)
{
    static const uint32_t extensions[] = {0x10, 0x54494d45, 0x735049, 0x52464e43, 0x999};
    uint32_t ext = extensions[random_below(5)], upper = (ext + 0x800) >> 12;

    put(p, AS_U(lui, A7, upper));
    put(p, AS_I(addi, A7, A7, (int)(ext - (upper << 12))));
    put(p, AS_I(addi, A6, ZERO, (int)random_below(ext == 0x10 ? 8 : 2)));
    put(p, AS_I(addi, A0, ZERO, (int)random_below(3)));
    put(p, AS_I(addi, A1, ZERO, 0));
    if (ext == 0x52464e43) {
        put(p, AS_I(addi, A2, S0, 0));
        put(p, AS_U(lui, A3, 1));
    }
    put(p, AS_N(ecall));
}

static void put_wait(struct pen *p)
{
    put(p, random_below(2) ? AS_N(wfi) : AS_N(wrs_sto));
}

void snippets_put(struct scene *scene)
{
    static void (*const kinds[])(struct pen *) = {
        put_loop,    put_loop,        put_loop,       put_call,     put_calls,
        put_switch,  put_reservation, put_copy,       put_crossing, put_rewrite,
        put_return,  put_to_user,     put_status,     put_status,   put_page_change,
        put_satp,    put_time,        put_device,     put_rounding, put_rewrite_far,
        put_to_user, put_wait,        put_csr,        put_csr,      put_csr,
        put_members, put_members,     put_extensions, far_put,      far_put,
        far_put,     far_put,         far_put,        far_put,      corner_put,
        corner_put,  corner_put,      corner_put,     corner_put,   corner_put,
        put_ring,    put_far,         put_far,
    };
    enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
    unsigned each = PROGRAM_WORDS / SNIPPETS_A_PROGRAM;

    for (unsigned i = 0; i + 1 < SNIPPETS_A_PROGRAM; i++) {
        struct pen p = {.scene = scene};

        p.at = scene->code + i * each + random_below(each - SNIPPET_WORDS + 1);
        if (scene->kernel && random_below(6) == 0)
            put_call_monitor(&p);
        else
            kinds[random_below(KINDS)](&p);
    }
}
