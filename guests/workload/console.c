#include "console.h"

#include "cpu.h"

enum {
    serial_port = 0x3f8,
    line_status = serial_port + 5,
    data_ready = 0x01,
    transmitter_empty = 0x20,
    fifo_bytes = 16,
};

static char console_busy;

void put_text(struct line* line, const char* text) {
    while (*text && line->length < sizeof line->text - 1)
        line->text[line->length++] = *text++;
}

static void put_number(struct line* line, uint64_t value, unsigned base) {
    char digits[21];
    unsigned at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put_text(line, digits + at);
}

void put_decimal(struct line* line, uint64_t value) {
    put_number(line, value, 10);
}

void put_hex(struct line* line, uint64_t value) {
    put_text(line, "0x");
    put_number(line, value, 16);
}

static void put_name(struct line* line, const char* name) {
    put_text(line, " ");
    put_text(line, name);
    put_text(line, "=");
}

void put_field(struct line* line, const char* name, uint64_t value) {
    put_name(line, name);
    put_decimal(line, value);
}

void put_hex_field(struct line* line, const char* name, uint64_t value) {
    put_name(line, name);
    put_hex(line, value);
}

void put_text_field(struct line* line, const char* name, const char* value) {
    put_name(line, name);
    put_text(line, value);
}

// Every port access leaves the guest, so the status is asked once for as many bytes as the transmitter's FIFO takes.
void send_line(struct line* line) {
    while (__atomic_test_and_set(&console_busy, __ATOMIC_ACQUIRE))
        pause();
    line->text[line->length++] = '\n';
    for (unsigned i = 0; i < line->length; i++) {
        if (i % fifo_bytes == 0) {
            while (!(in8(line_status) & transmitter_empty))
                pause();
        }
        out8(serial_port, (uint8_t)line->text[i]);
    }
    line->length = 0;
    __atomic_clear(&console_busy, __ATOMIC_RELEASE);
}

void console_start(void) {
    out8(serial_port + 1, 0);     // no interrupts
    out8(serial_port + 3, 0x80);  // divisor latch
    out8(serial_port + 0, 1);     // 115200 baud
    out8(serial_port + 1, 0);
    out8(serial_port + 3, 3);  // 8 bits, no parity, 1 stop bit
    out8(serial_port + 2, 7);  // FIFOs on and empty
    out8(serial_port + 4, 3);  // DTR, RTS
}

int console_read(void) {
    if (!(in8(line_status) & data_ready))
        return -1;
    return in8(serial_port);
}

void power_off(void) {
    out16(0x604, 0x2000);
    out8(0x501, 0);
    struct line line = {0};
    put_text(&line, "HALTED");
    send_line(&line);
    halt_forever();
}

void fail(const char* what, const char* detail) {
    struct line line = {0};
    put_text(&line, "ERROR ");
    put_text(&line, what);
    put_text(&line, detail);
    send_line(&line);
    power_off();
}
