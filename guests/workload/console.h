#pragma once

#include <stdint.h>

// One line of output, built on the stack of whoever writes it, so that lines of several virtual CPUs never mix.
struct line {
    unsigned length;
    char text[240];
};

void put_text(struct line* line, const char* text);
void put_decimal(struct line* line, uint64_t value);
void put_hex(struct line* line, uint64_t value);
// " name=value"
void put_field(struct line* line, const char* name, uint64_t value);
void put_hex_field(struct line* line, const char* name, uint64_t value);
void put_text_field(struct line* line, const char* name, const char* value);
// Sends the line and a newline to the serial port and empties it.
void send_line(struct line* line);

void console_start(void);
// A byte from the serial port, or -1.
int console_read(void);

// Ports 0x604 and 0x501; where neither ends the machine, says HALTED and halts this virtual CPU.
_Noreturn void power_off(void);
// Prints "ERROR <what><detail>" and powers off.
_Noreturn void fail(const char* what, const char* detail);
