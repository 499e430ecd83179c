#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "io/event_loop.h"
#include "machine/test_disk.h"
#include "machine/virtio_blk.h"
#include "machine/virtio_ids.h"
#include "machine/virtio_test_driver.h"

namespace godwit {

class QuietLog : public Log {
public:
    void write(LogLevel /*level*/, std::string_view /*line*/) override { ++lines; }
    std::atomic<int> lines = 0;
};

/// A disk of 2 MiB, and a driver that puts header, data and status of request n at fixed places.
class VirtioBlkTest : public ::testing::Test {
protected:
    static constexpr std::uint16_t queue_size = 64;

    VirtioBlkTest() : driver(ram, queue_size) {}

    void make(std::uint64_t agreed = virtio::block::flush) {
        auto made = VirtioBlk::create({"d0", &disk}, tracker, *ram.ram, interrupt, true, loop, log);
        ASSERT_TRUE(made) << made.error().text();
        device = std::move(*made);
        device->set_features(agreed);
        device->place_queue(driver.layout);
        device->resume();
        device->notify();
    }
    static std::uint64_t header_of(std::uint16_t n) { return 0x40000 + 64U * n; }
    static std::uint64_t status_of(std::uint16_t n) { return 0x50000 + n; }
    static std::uint64_t data_of(std::uint16_t n) { return 0x60000 + 512U * n; }

    /// Makes request n available: one sector of data, `type` says in which direction.
    void request(std::uint16_t n, std::uint32_t type, std::uint64_t sector) {
        ram.put(header_of(n), type);
        ram.put<std::uint32_t>(header_of(n) + 4, 0);
        ram.put(header_of(n) + 8, sector);
        ram.put<std::uint8_t>(status_of(n), 0xff);
        const auto direction = static_cast<std::uint16_t>(type == virtio::block::type_in ? VirtioTestDriver::write : 0);
        std::vector<VirtioTestDriver::Buffer> chain{{header_of(n), 16}};
        if (type != virtio::block::type_flush) {
            chain.push_back({data_of(n), type > virtio::block::type_out ? 16U : 512U, direction});
        }
        chain.push_back({status_of(n), 1, VirtioTestDriver::write});
        driver.put_chain(static_cast<std::uint16_t>(3 * n), chain);
        driver.make_available(static_cast<std::uint16_t>(3 * n));
    }
    std::uint8_t status(std::uint16_t n) { return ram.get<std::uint8_t>(status_of(n)); }
    bool wait_used(std::uint16_t index) {
        return eventually([&] { return driver.used() == index; });
    }
    bool pause() {
        device->pause();
        return eventually([&] { return device->is_quiet(); });
    }
    void fill_data(std::uint16_t n, char with) { std::memset(ram.at(data_of(n)), with, 512); }

    EventLoop loop;
    QuietLog log;
    VirtioTestRam ram;
    VirtioTestDriver driver;
    TestDisk disk{2 * 1024 * 1024};
    DiskWriteTracker tracker{ByteCount(2 * 1024 * 1024)};
    std::atomic<bool> line = false;
    VirtioInterrupt interrupt{[this](bool level) { line = level; }};
    std::unique_ptr<VirtioBlk> device;
};

}  // namespace godwit
