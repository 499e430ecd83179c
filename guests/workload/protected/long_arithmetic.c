// What compilers call for 64-bit numbers on 32-bit processors.

#include <stdint.h>

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor);
uint64_t __umoddi3(uint64_t dividend, uint64_t divisor);
int64_t __divdi3(int64_t dividend, int64_t divisor);
uint64_t __atomic_load_8(const volatile void* from, int order);
void __atomic_store_8(volatile void* to, uint64_t value, int order);

static uint64_t divide(uint64_t dividend, uint64_t divisor, uint64_t* rest) {
    uint64_t quotient = 0;
    uint64_t left = 0;
    for (int bit = 63; bit >= 0; bit--) {
        const uint64_t carry = left >> 63;
        left = left << 1 | (dividend >> bit & 1);
        if (carry || left >= divisor) {
            left -= divisor;
            quotient |= UINT64_C(1) << bit;
        }
    }
    *rest = left;
    return quotient;
}

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor) {
    uint64_t rest;
    return divide(dividend, divisor, &rest);
}

uint64_t __umoddi3(uint64_t dividend, uint64_t divisor) {
    uint64_t rest;
    divide(dividend, divisor, &rest);
    return rest;
}

int64_t __divdi3(int64_t dividend, int64_t divisor) {
    const uint64_t a = dividend < 0 ? -(uint64_t)dividend : (uint64_t)dividend;
    const uint64_t b = divisor < 0 ? -(uint64_t)divisor : (uint64_t)divisor;
    const uint64_t quotient = __udivdi3(a, b);
    return (int64_t)((dividend < 0) != (divisor < 0) ? -quotient : quotient);
}

// There is one processor, and no interrupt.
uint64_t __atomic_load_8(const volatile void* from, int order) {
    (void)order;
    return *(const volatile uint64_t*)from;
}

void __atomic_store_8(volatile void* to, uint64_t value, int order) {
    (void)order;
    *(volatile uint64_t*)to = value;
}
