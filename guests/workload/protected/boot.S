// Entry through PVH in 32-bit protected mode, where this variant stays, without paging and interrupts.

#define CODE32 0x08
#define DATA 0x10

#include "../pvh_entry.inc"
        lgdt gdt_pointer
        ljmp $CODE32, $1f
1:      movl $DATA, %eax
        movl %eax, %ds
        movl %eax, %es
        movl %eax, %ss
        movl $stack_top, %esp
        pushl %ebx
        call workload_main
2:      cli
        hlt
        jmp 2b

        .section .rodata
        .align 8
gdt:
        .quad 0
        .quad 0x00cf9b000000ffff        // CODE32
        .quad 0x00cf93000000ffff        // DATA
gdt_end:
gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt

        .bss
        .align 16
        // There are none.
        .globl page_tables_begin, page_tables_end
page_tables_begin:
page_tables_end:
        .skip 16384
stack_top:
        .skip 16
