#include "machine/emulator_code.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include "io/event_loop.h"
#include "machine/emulator_test_machine.h"
#include "machine/guest_ram.h"
#include "machine/vcpu_set.h"

namespace godwit {

namespace {

using testing::EmulatorTestMachine;
using Pages = std::vector<std::uint64_t>;

Pages stale_pages(EmulatorCode& code) {
    Pages pages;
    code.take_stale([&](std::size_t block, PageNumber page) { pages.push_back(1000 * block + page.value()); });
    return pages;
}

TEST(EmulatorCode, A_page_is_stale_once_when_it_is_noted_and_whenever_it_is_written) {
    EmulatorCode code({PageCount(200), PageCount(16)});
    code.written(0, PageNumber(0), PageCount(200));
    EXPECT_FALSE(code.is_stale());
    code.note(0, PageNumber(3));
    code.note(0, PageNumber(130));
    EXPECT_TRUE(code.is_stale());
    EXPECT_EQ(stale_pages(code), (Pages{3, 130}));
    code.note(0, PageNumber(3));
    EXPECT_FALSE(code.is_stale());
    code.written(0, PageNumber(4), PageCount(126));
    EXPECT_FALSE(code.is_stale());
    code.written(0, PageNumber(4), PageCount(127));
    EXPECT_TRUE(code.is_stale());
    EXPECT_EQ(stale_pages(code), Pages{130});
    code.note(1, PageNumber(3));
    EXPECT_EQ(stale_pages(code), Pages{1003});
    code.written(1, PageNumber(0), PageCount(16));
    EXPECT_EQ(stale_pages(code), Pages{1003});
    code.clear();
    code.written(0, PageNumber(3), PageCount(1));
    EXPECT_FALSE(code.is_stale());
}

class EmulatorCodeTest : public ::testing::Test {
protected:
    void put_code(std::size_t address, const std::vector<std::uint8_t>& code) {
        std::memcpy(machine.host() + address, code.data(), code.size());
    }
    /// As a device does.
    void write(std::size_t address, const std::vector<std::uint8_t>& bytes) {
        put_code(address, bytes);
        const std::size_t first = address / page_bytes;
        const std::size_t last = (address + bytes.size() - 1) / page_bytes;
        machine.dirty_source().mark(0, PageNumber(first), PageCount(last - first + 1));
    }

    EmulatorTestMachine machine;
};

TEST_F(EmulatorCodeTest, Code_that_a_device_writes_over_what_has_run_is_what_runs) {
    // At 0x3000, mov $1,%eax; out %eax,$0x80; jmp 0x3000
    put_code(0x3000, {0xb8, 1, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xf7});
    machine.boot({0xe9, 0xfb, 0x1f, 0, 0});
    EXPECT_EQ(machine.run_to_out(), 1U);
    EXPECT_EQ(machine.run_to_out(), 1U);
    for (std::uint8_t value = 2; value < 10; ++value) {
        write(0x3001, {value});
        EXPECT_EQ(machine.run_to_out(), value);
    }
}

TEST_F(EmulatorCodeTest, A_block_that_spans_two_pages_follows_the_second_one_too) {
    // The operand lies on the second page.
    put_code(0x3fff, {0xb8, 1, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xf7});
    machine.boot({0xe9, 0xfa, 0x2f, 0, 0});
    EXPECT_EQ(machine.run_to_out(), 1U);
    EXPECT_EQ(machine.run_to_out(), 1U);
    write(0x4000, {2});
    EXPECT_EQ(machine.run_to_out(), 2U);
    write(0x3fff, {0xb8, 3});
    EXPECT_EQ(machine.run_to_out(), 3U);
}

TEST_F(EmulatorCodeTest, The_last_page_of_memory_is_followed_too) {
    const std::size_t last = machine.bytes() - 9;
    put_code(last, {0xb8, 1, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xf7});
    // jmp to it
    machine.boot({0xe9});
    machine.put<std::uint32_t>(0x1001, static_cast<std::uint32_t>(last - 0x1005));
    EXPECT_EQ(machine.run_to_out(), 1U);
    write(last + 1, {2});
    EXPECT_EQ(machine.run_to_out(), 2U);
}

/// Writes 5 bytes to address 0x3000 when the guest writes to it.
class CodeLoader : public MmioDevice {
public:
    explicit CodeLoader(GuestRam& ram) : ram_(ram) {}
    std::uint64_t read(std::uint64_t /*offset*/, unsigned /*bytes*/) override { return 0; }
    void write(std::uint64_t /*offset*/, unsigned /*bytes*/, std::uint64_t value) override {
        const std::array<std::byte, 5> code{std::byte{0xb8}, static_cast<std::byte>(value)};
        EXPECT_TRUE(ram_.write(GuestAddress(0x3000), code));
    }

private:
    GuestRam& ram_;
};

TEST_F(EmulatorCodeTest, A_guest_runs_what_it_has_loaded_a_moment_ago) {
    GuestRam ram(machine.memory(), {{GuestAddress(0), ByteCount(machine.bytes()), BlockOffset(0)}});
    ram.set_write_handler([&](std::size_t /*block*/, PageNumber first, PageCount count) {
        machine.dirty_source().mark(0, first, count);
    });
    CodeLoader loader(ram);
    machine.buses().mmio.add(GuestAddress(0xfeb0'0000), ByteCount(0x1000), loader);
    // At 0x3005, jmp *%ebx.
    put_code(0x3000, {0xb8, 1, 0, 0, 0, 0xff, 0xe3});
    // 1: inc %ecx; mov %ecx,0xfeb00000; mov $2,%ebx; jmp 0x3000; 2: out %eax,$0x80; jmp 1
    machine.boot({0x41, 0x89, 0x0d, 0x00, 0x00, 0xb0, 0xfe, 0xbb, 0x11, 0x10, 0x00,
                  0x00, 0xe9, 0xef, 0x1f, 0x00, 0x00, 0xe7, 0x80, 0xeb, 0xeb});
    VcpuState state = machine.state();
    state.cpu.regs[CpuState::rcx] = 6;
    ASSERT_TRUE(machine.vcpu().load(state));
    for (std::uint32_t value = 7; value < 15; ++value) {
        EXPECT_EQ(machine.run_to_out(), value);
    }
}

TEST_F(EmulatorCodeTest, While_it_runs_code_is_never_older_than_what_announced_it) {
    constexpr std::uint32_t generations = 3000;
    // At 0x5003, mov $0,%eax; ret. At 0x1000, for ever: what the word at 0x8000 says, at least, has to come back:
    // 1: mov 0x8000,%ebx; call 0x5003; cmp %ebx,%eax; jb 2; mov %eax,0x9000; jmp 1; 2: out %eax,$0x80
    put_code(0x5003, {0xb8, 0, 0, 0, 0, 0xc3});
    machine.boot({0x8b, 0x1d, 0x00, 0x80, 0x00, 0x00, 0xe8, 0xf8, 0x3f, 0x00, 0x00, 0x39, 0xd8,
                  0x72, 0x07, 0xa3, 0x00, 0x90, 0x00, 0x00, 0xeb, 0xea, 0xe7, 0x80, 0xeb, 0xfe});
    VcpuState state = machine.state();
    state.cpu.regs[CpuState::rsp] = 0x8'0000;
    ASSERT_TRUE(machine.vcpu().load(state));
    EventLoop loop;
    VcpuSet vcpus(machine.machine(), 1, machine.buses(), [] {});
    ASSERT_TRUE(vcpus.start(loop));
    vcpus.resume();
    const std::atomic_ref operand(*reinterpret_cast<std::uint32_t*>(machine.host() + 0x5004));
    const std::atomic_ref announced(*reinterpret_cast<std::uint32_t*>(machine.host() + 0x8000));
    const std::atomic_ref seen(*reinterpret_cast<std::uint32_t*>(machine.host() + 0x9000));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (std::uint32_t n = 1; n <= generations && !vcpus.has_request(); ++n) {
        operand.store(n);
        machine.dirty_source().mark(0, PageNumber(5), PageCount(1));
        announced.store(n);
        while (n % 16 == 0 && seen.load() < n && std::chrono::steady_clock::now() < deadline && !vcpus.has_request()) {
            std::this_thread::yield();
        }
    }
    EXPECT_FALSE(vcpus.has_request());
    EXPECT_EQ(seen.load(), generations / 16 * 16);
    ASSERT_TRUE(vcpus.pause());
}

TEST_F(EmulatorCodeTest, A_guest_may_change_its_own_code) {
    // incb of an operand in the same block: 1: incb 0x3007; mov $1,%eax; out %eax,$0x80; jmp 1
    put_code(0x3000, {0xfe, 0x05, 0x07, 0x30, 0, 0, 0xb8, 1, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xf1});
    machine.boot({0xe9, 0xfb, 0x1f, 0, 0});
    for (std::uint32_t value = 2; value < 6; ++value) {
        EXPECT_EQ(machine.run_to_out(), value);
    }
    // In the next one.
    put_code(0x4000, {0xfe, 0x05, 0x0a, 0x40, 0, 0, 0xeb, 0x01, 0x90, 0xb8, 1, 0, 0, 0, 0xe7, 0x80, 0xeb, 0xee});
    EmulatorTestMachine next;
    std::memcpy(next.host() + 0x4000, machine.host() + 0x4000, 32);
    next.boot({0xe9, 0xfb, 0x2f, 0, 0});
    for (std::uint32_t value = 2; value < 6; ++value) {
        EXPECT_EQ(next.run_to_out(), value);
    }
    // rep movsb of five bytes over what follows it.
    EmulatorTestMachine copying;
    copying.put<std::uint8_t>(0x9000, 0xb8);
    copying.put<std::uint32_t>(0x9001, 0x55);
    copying.boot({0xbe, 0,    0x90, 0,    0,    0xbf, 0x12, 0x10, 0, 0,    0xb9, 5,    0,   0,
                  0,    0x90, 0xf3, 0xa4, 0xb8, 1,    0,    0,    0, 0xe7, 0x80, 0xeb, 0xfe});
    EXPECT_EQ(copying.run_to_out(), 0x55U);
}

}  // namespace

}  // namespace godwit
