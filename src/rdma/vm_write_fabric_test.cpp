#include "rdma/vm_write_fabric.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace godwit::rdma {
namespace {

constexpr std::size_t memory_bytes = 64 * 4096;

/// A destination in a process of its own; its memory is shared, so that the test sees what arrives.
class VmWriteFabricTest : public ::testing::Test {
protected:
    void SetUp() override {
        void* const mapped = ::mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(mapped, MAP_FAILED);
        memory_ = {static_cast<std::byte*>(mapped), memory_bytes};
        ASSERT_EQ(::pipe(told_.data()), 0);
        child_ = ::fork();
        ASSERT_GE(child_, 0);
        if (child_ == 0) {
            be_destination();
        }
        address_.resize(read_size());
        read_all(address_);
        key_.resize(read_size());
        read_all(key_);
        auto made = make_vm_write_fabric();
        ASSERT_TRUE(made);
        fabric_ = std::move(*made);
    }
    void TearDown() override {
        end_destination();
        ::munmap(memory_.data(), memory_.size());
        ::close(told_[0]);
        ::close(told_[1]);
    }
    void end_destination() {
        if (child_ > 0) {
            ::kill(child_, SIGKILL);
            ::waitpid(child_, nullptr, 0);
            child_ = 0;
        }
    }
    RemoteAddress there(std::size_t offset) const { return {reinterpret_cast<std::uint64_t>(&memory_[offset])}; }
    std::unique_ptr<RemoteMemory> open_key() {
        auto opened = fabric_->open_key(key_);
        EXPECT_TRUE(opened);
        return std::move(*opened);
    }

    MutableBuffer memory_;
    std::array<int, 2> told_{};
    pid_t child_ = 0;
    std::vector<std::byte> address_;
    std::vector<std::byte> key_;
    std::unique_ptr<Fabric> fabric_;

private:
    [[noreturn]] void be_destination() {
        auto fabric = make_vm_write_fabric();
        auto registered = (*fabric)->register_memory(memory_.first(memory_bytes / 2));
        tell((*fabric)->address());
        tell((*registered)->key());
        for (;;) {
            ::pause();
        }
    }
    void tell(ConstBuffer bytes) {
        const std::size_t size = bytes.size();
        if (::write(told_[1], &size, sizeof(size)) < 0 || ::write(told_[1], bytes.data(), size) < 0) {
            ::_exit(1);
        }
    }
    std::size_t read_size() {
        std::size_t size = 0;
        EXPECT_EQ(::read(told_[0], &size, sizeof(size)), static_cast<ssize_t>(sizeof(size)));
        return size;
    }
    void read_all(MutableBuffer bytes) {
        EXPECT_EQ(::read(told_[0], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    }
};

TEST_F(VmWriteFabricTest, WritesIntoTheOtherProcess) {
    ASSERT_TRUE(fabric_->connect(address_));
    const auto key = open_key();
    const std::vector<std::byte> page(4096, std::byte{0x5a});
    ASSERT_TRUE(fabric_->start_write(page, there(8192), *key, 7));
    ASSERT_TRUE(fabric_->start_flush(8));
    EXPECT_FALSE(fabric_->arm()) << "there is something to take";
    std::vector<WriteId> finished;
    EXPECT_TRUE(*fabric_->progress(finished));
    EXPECT_EQ(finished, (std::vector<WriteId>{7, 8}));
    EXPECT_FALSE(*fabric_->progress(finished));
    EXPECT_TRUE(fabric_->arm());
    EXPECT_EQ(std::memcmp(&memory_[8192], page.data(), page.size()), 0);
    EXPECT_EQ(memory_[8191], std::byte{0});
}

TEST_F(VmWriteFabricTest, NothingIsWrittenOutsideOfWhatIsRegistered) {
    ASSERT_TRUE(fabric_->connect(address_));
    const auto key = open_key();
    const std::vector<std::byte> page(4096, std::byte{1});
    EXPECT_FALSE(fabric_->start_write(page, there(memory_bytes / 2 - 1), *key, 1));
    EXPECT_FALSE(fabric_->start_write(page, RemoteAddress{there(0).value - 1}, *key, 1));
    EXPECT_TRUE(fabric_->start_write(page, there(memory_bytes / 2 - 4096), *key, 1));
}

TEST_F(VmWriteFabricTest, ADestinationThatHasEndedIsAnError) {
    ASSERT_TRUE(fabric_->connect(address_));
    const auto key = open_key();
    end_destination();
    const std::vector<std::byte> page(4096);
    const Status written = fabric_->start_write(page, there(0), *key, 1);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::peer_closed);
}

TEST_F(VmWriteFabricTest, MemoryThatIsNotMappedThereIsAnError) {
    ASSERT_TRUE(fabric_->connect(address_));
    std::vector<std::byte> false_key = key_;
    for (std::size_t i = 4; i < 12; ++i) {
        false_key[i] = std::byte{0};  // it begins at address 0
    }
    auto opened = fabric_->open_key(false_key);
    ASSERT_TRUE(opened);
    const std::vector<std::byte> page(4096);
    const Status written = fabric_->start_write(page, RemoteAddress{4096}, **opened, 1);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code, ErrorCode::memory);
    EXPECT_NE(written.error().message.find("a page of guest memory cannot be had"), std::string::npos);
}

TEST_F(VmWriteFabricTest, AddressesAndKeysThatMakeNoSenseAreRefused) {
    for (std::size_t length = 0; length < address_.size(); ++length) {
        EXPECT_FALSE(fabric_->connect(ConstBuffer(address_).first(length)));
    }
    std::vector<std::byte> other_time = address_;
    other_time[15] ^= std::byte{1};
    const Status connected = fabric_->connect(other_time);
    ASSERT_FALSE(connected) << "another process with the same number";
    EXPECT_NE(connected.error().message.find("cannot be found"), std::string::npos);
    std::vector<std::byte> other_secret = address_;
    other_secret.back() ^= std::byte{1};
    EXPECT_EQ(fabric_->connect(other_secret).error().message,
              "process " + std::to_string(child_) + " is not the destination");
    EXPECT_FALSE(fabric_->connect(fabric_->address())) << "itself";
    for (std::size_t length = 0; length < key_.size(); ++length) {
        EXPECT_FALSE(fabric_->open_key(ConstBuffer(key_).first(length)));
    }
    std::vector<std::byte> endless = key_;
    std::fill(endless.begin() + 12, endless.end(), std::byte{0xff});
    EXPECT_FALSE(fabric_->open_key(endless));
}

}  // namespace
}  // namespace godwit::rdma
