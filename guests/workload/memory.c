// What a compiler may call even in freestanding programs.

#include <stddef.h>
#include <stdint.h>

void* memset(void* to, int value, size_t bytes);
void* memcpy(void* to, const void* from, size_t bytes);

void* memset(void* to, int value, size_t bytes) {
    volatile uint8_t* p = to;
    while (bytes--)
        *p++ = (uint8_t)value;
    return to;
}

void* memcpy(void* to, const void* from, size_t bytes) {
    volatile uint8_t* p = to;
    const uint8_t* q = from;
    while (bytes--)
        *p++ = *q++;
    return to;
}
