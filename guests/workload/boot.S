// Entry through PVH in 32-bit protected mode, the way to 64-bit mode, the start of the other virtual CPUs, and the
// interrupt stubs. There is no iret anywhere: interrupts are only taken in idle_halt, which the timer's handler resumes.

#define CODE32 0x08
#define DATA 0x10
#define CODE64 0x18
#define EFER 0xc0000080
#define APIC_EOI 0xfee000b0
#define TRAMPOLINE 0x8000

#include "pvh_entry.inc"
        movl %ebx, start_info_address

        // Identity map of the first 4 GiB in pages of 2 MiB; the local APIC's is not cached.
        movl $page_directory_pointers + 3, page_map
        movl $page_directories + 3, %eax
        movl $page_directory_pointers, %edi
        movl $4, %ecx
1:      movl %eax, (%edi)
        addl $4096, %eax
        addl $8, %edi
        decl %ecx
        jnz 1b
        movl $0x83, %eax
        movl $page_directories, %edi
        movl $2048, %ecx
2:      movl %eax, (%edi)
        addl $0x200000, %eax
        addl $8, %edi
        decl %ecx
        jnz 2b
        orl $0x18, page_directories + 8 * (0xfee00000 >> 21)

        lgdt gdt_pointer
        ljmp $CODE32, $enter_long_mode

// Every virtual CPU comes by here.
enter_long_mode:
        movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl %cr4, %eax
        orl $0x20, %eax                 // PAE
        movl %eax, %cr4
        movl $page_map, %eax
        movl %eax, %cr3
        movl $EFER, %ecx
        rdmsr
        orl $0x100, %eax                // LME
        wrmsr
        movl %cr0, %eax
        orl $0x80000001, %eax           // paging, protection
        movl %eax, %cr0
        ljmp $CODE64, $long_mode

        .code64
long_mode:
        movq starting_stack, %rsp
        testq %rsp, %rsp
        jnz 1f
        movq $first_stack_top, %rsp
        movl start_info_address, %edi
        call workload_main
        jmp 2f
1:      call other_cpu_main
2:      cli
        hlt
        jmp 2b

// Copied to TRAMPOLINE; another virtual CPU begins here in real mode.
        .code16
        .globl trampoline_begin, trampoline_end
trampoline_begin:
        cli
        xorw %ax, %ax
        movw %ax, %ds
        lgdtl TRAMPOLINE + (trampoline_gdt_pointer - trampoline_begin)
        movl %cr0, %eax
        orl $1, %eax
        movl %eax, %cr0
        ljmpl $CODE32, $enter_long_mode
        .align 4
trampoline_gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt
trampoline_end:

        .code64
// void idle_halt(void): sleeps until the timer's interrupt. Returns with interrupts off.
        .globl idle_halt
idle_halt:
        sti
        hlt
idle_resume:
        cli
        ret

        .globl timer_interrupt, spurious_interrupt
timer_interrupt:
        movl $APIC_EOI, %eax
        movl $0, (%rax)
spurious_interrupt:
        movq 24(%rsp), %rsp
        jmp idle_resume

// exception_stubs[n]: 16 bytes each.
        .globl exception_stubs
        .align 16
exception_stubs:
        vector = 0
        .rept 32
        .align 16
        pushq $vector
        jmp exception_common
        vector = vector + 1
        .endr
exception_common:
        movq (%rsp), %rdi               // vector
        leaq 8(%rsp), %rsi              // frame, with or without an error code
        andq $-16, %rsp
        call exception_main

        .section .rodata
        .align 8
gdt:
        .quad 0
        .quad 0x00cf9b000000ffff        // CODE32
        .quad 0x00cf93000000ffff        // DATA
        .quad 0x00af9b000000ffff        // CODE64
gdt_end:
gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt

        .bss
        .align 4096
        .globl page_tables_begin, page_tables_end
page_tables_begin:
page_map:
        .skip 4096
page_directory_pointers:
        .skip 4096
page_directories:
        .skip 4 * 4096
page_tables_end:
        .skip 8192
        .align 16
first_stack_top:
        .skip 16
        .globl starting_stack
starting_stack:                         // stack of the virtual CPU that is being started, 0 for the first
        .skip 8
start_info_address:
        .skip 8
