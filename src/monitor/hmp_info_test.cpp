#include "monitor/hmp_info.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

TEST(HmpInfo, ShowsAMigrationAsQemuDoes) {
    // The answer of a QEMU 7.2 and what its own `info migrate` said at the same time.
    const Json report = Json::parse(R"({"status":"completed","total-time":18,"downtime":1,"setup-time":6,
        "ram":{"total":134283264,"postcopy-requests":0,"dirty-sync-count":2,"multifd-bytes":0,"pages-per-second":0,
               "downtime-bytes":33000,"page-size":4096,"remaining":0,"postcopy-bytes":0,"mbps":285.3449,
               "transferred":413999,"dirty-sync-missed-zero-copy":0,"precopy-bytes":380999,"duplicate":32763,
               "dirty-pages-rate":0,"skipped":0,"normal-bytes":118784,"normal":29},
        "xbzrle-cache":{"encoding-rate":0,"bytes":0,"cache-size":67108864,"cache-miss-rate":0,"pages":0,"overflow":0,
                        "cache-miss":8}})");
    EXPECT_EQ(migration_text(report),
              "Migration status: completed\n"
              "total time: 18 ms\n"
              "downtime: 1 ms\n"
              "setup: 6 ms\n"
              "transferred ram: 404 kbytes\n"
              "throughput: 285.34 mbps\n"
              "remaining ram: 0 kbytes\n"
              "total ram: 131136 kbytes\n"
              "duplicate: 32763 pages\n"
              "skipped: 0 pages\n"
              "normal: 29 pages\n"
              "normal bytes: 116 kbytes\n"
              "dirty sync count: 2\n"
              "page size: 4 kbytes\n"
              "multifd bytes: 0 kbytes\n"
              "pages-per-second: 0\n"
              "precopy ram: 372 kbytes\n"
              "downtime ram: 32 kbytes\n"
              "cache size: 67108864 bytes\n"
              "xbzrle transferred: 0 kbytes\n"
              "xbzrle pages: 0 pages\n"
              "xbzrle cache miss: 8 pages\n"
              "xbzrle cache miss rate: 0.00\n"
              "xbzrle encoding rate: 0.00\n"
              "xbzrle overflow: 0\n");
}

TEST(HmpInfo, ShowsWhatRdmaHasRegistered) {
    EXPECT_EQ(
        migration_text(
            {{"rdma", {{"transport", "shm"}, {"registrations", 3}, {"registered", 2 << 20}, {"pin-all", false}}}}),
        "rdma transport: shm\nrdma registrations: 3\nrdma registered: 2048 kbytes\nrdma pin all: off\n");
}

TEST(HmpInfo, ShowsWhatIsRareOnlyWhenItIsThere) {
    EXPECT_EQ(migration_text(Json::object()), "");
    EXPECT_EQ(migration_text({{"status", "cancelled"}}), "Migration status: cancelled\n");
    EXPECT_EQ(migration_text({{"status", "failed"}, {"error-desc", "no route"}, {"total-time", 0}}),
              "Migration status: failed (no route)\ntotal time: 0 ms\n");
    EXPECT_EQ(migration_text({{"status", "active"}, {"expected-downtime", 300}, {"cpu-throttle-percentage", 20}}),
              "Migration status: active\nexpected downtime: 300 ms\ncpu throttle percentage: 20\n");
    EXPECT_EQ(migration_text({{"ram",
                               {{"dirty-pages-rate", 7},
                                {"postcopy-requests", 8},
                                {"postcopy-bytes", 4096},
                                {"dirty-sync-missed-zero-copy", 1}}}}),
              "dirty pages rate: 7 pages\npostcopy request count: 8\npostcopy ram: 4 kbytes\n"
              "Zero-copy-send fallbacks happened: 1 times\n");
    EXPECT_EQ(migration_text({{"disk", {{"transferred", 2048}, {"remaining", 1024}, {"total", 4096}}}}),
              "transferred disk: 2 kbytes\nremaining disk: 1 kbytes\ntotal disk: 4 kbytes\n");
    EXPECT_EQ(migration_text({{"compression", {{"pages", 3}, {"compression-rate", 1.5}}}}),
              "compression pages: 3 pages\ncompression rate: 1.50\n");
    EXPECT_EQ(migration_text({{"blocked-reasons", {"a disk", 3}}}), "Outgoing migration blocked:\n  a disk\n");
}

TEST(HmpInfo, ShowsWhereAMigrationIsWaitedFor) {
    EXPECT_EQ(migration_text({{"socket-address",
                               {{{"type", "inet"}, {"host", "127.0.0.1"}, {"port", "37177"}},
                                {{"type", "unix"}, {"path", "/tmp/x"}},
                                {{"type", "vsock"}},
                                7}}}),
              "socket address: [\n\ttcp:127.0.0.1:37177\n\tunix:/tmp/x\n\tvsock\n]\n");
}

TEST(HmpInfo, ShowsTheMeasuredDirtyRate) {
    EXPECT_EQ(dirty_rate_text({{"status", "measuring"},
                               {"start-time", 275},
                               {"sample-pages", 512},
                               {"calc-time", 1},
                               {"mode", "page-sampling"}}),
              "Status: measuring\nStart Time: 275 (sec)\nSample Pages: 512 (per GB)\nPeriod: 1 (sec)\n"
              "Mode: page-sampling\nDirty rate: (not ready)\n");
    EXPECT_EQ(dirty_rate_text({{"status", "measured"},
                               {"dirty-rate", 0},
                               {"mode", "dirty-ring"},
                               {"vcpu-dirty-rate", {{{"id", 0}, {"dirty-rate", 9}}, 5}}}),
              "Status: measured\nMode: dirty-ring\nDirty rate: 0 (MB/s)\nvcpu[0], Dirty rate: 9 (MB/s)\n");
}

TEST(HmpInfo, ShowsTheMachine) {
    EXPECT_EQ(status_text({{"status", "running"}, {"running", true}}), "VM status: running\n");
    EXPECT_EQ(status_text({{"status", "paused"}, {"running", false}}), "VM status: paused\n");
    EXPECT_EQ(status_text({{"status", "postmigrate"}, {"running", false}}), "VM status: paused (postmigrate)\n");
    EXPECT_EQ(version_text({{"package", "godwit 1.2.3"}}), "godwit 1.2.3\n");
    EXPECT_EQ(name_text({{"name", "north"}}), "north\n");
    EXPECT_EQ(name_text(Json::object()), "");
    EXPECT_EQ(capabilities_text({{{"capability", "events"}, {"state", true}}, {{"capability", "x"}, {"state", false}}}),
              "events: on\nx: off\n");
}

}  // namespace
}  // namespace godwit
