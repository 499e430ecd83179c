#include "machine/options.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

std::uint64_t size_of(std::string_view text) {
    return parse_memory_size(text).value().value();
}

TEST(Options, MemorySizesAreReadAsQemuReadsThem) {
    EXPECT_EQ(size_of("512M"), std::uint64_t{512} << 20);
    EXPECT_EQ(size_of("2G"), std::uint64_t{2} << 30);
    EXPECT_EQ(size_of("2g"), std::uint64_t{2} << 30);
    EXPECT_EQ(size_of("64"), std::uint64_t{64} << 20);
    EXPECT_EQ(size_of("4K"), 4096U);
    EXPECT_EQ(size_of("12288B"), 12288U);
    EXPECT_EQ(size_of("1T"), std::uint64_t{1} << 40);
}

TEST(Options, OtherMemorySizesAreRefused) {
    for (const char* text :
         {"", "M", "1X", "1MB", "-1", " 1", "1 M", "0x10", "1.5G", "99999999999999999999", "16777216T"}) {
        const auto result = parse_memory_size(text);
        ASSERT_FALSE(result) << text;
        EXPECT_EQ(result.error().code, ErrorCode::invalid_argument) << text;
    }
}

TEST(Options, SerialSpecs) {
    EXPECT_EQ(parse_serial_spec("none")->kind, SerialSpec::Kind::none);
    EXPECT_EQ(parse_serial_spec("stdio")->kind, SerialSpec::Kind::stdio);
    EXPECT_EQ(parse_serial_spec("file:/tmp/a:b")->path, "/tmp/a:b");
    EXPECT_EQ(parse_serial_spec("unix:s")->kind, SerialSpec::Kind::unix_socket);
    for (const char* text : {"", "file:", "file", "unix:", "tcp:1", "stdio:"}) {
        EXPECT_FALSE(parse_serial_spec(text)) << text;
    }
}

TEST(Options, NamesOfMachinesAndCpus) {
    EXPECT_EQ(parse_machine_kind("microvm").value(), MachineKind::microvm);
    EXPECT_EQ(parse_machine_kind("none").value(), MachineKind::none);
    EXPECT_FALSE(parse_machine_kind("pc"));
    EXPECT_EQ(to_string(MachineKind::microvm), "microvm");
    EXPECT_EQ(parse_cpu_model("host").value(), CpuModel::host);
    EXPECT_FALSE(parse_cpu_model("486"));
    EXPECT_EQ(parse_accelerator("auto").value(), AcceleratorKind::automatic);
    EXPECT_EQ(parse_accelerator("kvm").value(), AcceleratorKind::kvm);
    EXPECT_EQ(parse_accelerator("emulate").value(), AcceleratorKind::emulator);
    EXPECT_FALSE(parse_accelerator("tcg"));
}

TEST(Options, ValidationNamesWhatIsWrong) {
    MachineOptions none;
    none.kind = MachineKind::none;
    none.memory = ByteCount(4096);
    EXPECT_TRUE(validate(none));
    none.memory = ByteCount(4097);
    EXPECT_FALSE(validate(none));
    none.memory = ByteCount(0);
    EXPECT_FALSE(validate(none));
    none.memory = ByteCount(4096);
    none.kernel = "k";
    EXPECT_FALSE(validate(none));

    MachineOptions microvm;
    EXPECT_FALSE(validate(microvm)) << "neither a kernel nor incoming";
    microvm.incoming = true;
    EXPECT_TRUE(validate(microvm));
    microvm.cpus = 0;
    EXPECT_FALSE(validate(microvm));
    microvm.cpus = max_vcpus + 1;
    EXPECT_FALSE(validate(microvm));
    microvm.cpus = 2;
    microvm.memory = ByteCount(4096);
    EXPECT_FALSE(validate(microvm));
}

}  // namespace
}  // namespace godwit
