#include "monitor/migration_report.h"

#include <gtest/gtest.h>

namespace godwit {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

MigrationStatistics completed() {
    MigrationStatistics s;
    s.state = MigrationState::completed;
    s.total_time = milliseconds(1234);
    s.setup_time = milliseconds(3);
    s.downtime = microseconds(4567);
    s.stopped_at = Instant(nanoseconds(1000));
    s.running_at = Instant(nanoseconds(4568000));
    s.transferred_bytes = 1;
    s.remaining_bytes = 2;
    s.total_bytes = 3;
    s.zero_pages = 4;
    s.normal_pages = 5;
    s.dirty_pages_per_s = 6;
    s.dirty_sync_count = 7;
    s.passes = 8;
    s.pages_per_s = 9;
    s.megabits_per_s = 10.5;
    s.bytes_per_s = 13;
    s.precopy_bytes = 11;
    s.downtime_bytes = 12;
    s.peer = "godwit 0.1";
    return s;
}

TEST(MigrationReport, IsEmptyWhenNothingRan) {
    EXPECT_EQ(migration_report({}, std::nullopt), Json::object());
}

TEST(MigrationReport, TellsWhereItListens) {
    const Json report = migration_report({}, "tcp:127.0.0.1:4444");
    EXPECT_EQ(report,
              Json::parse(R"({"socket-address":[{"type":"inet","host":"127.0.0.1","port":"4444","ipv4":true}]})"));
    EXPECT_EQ(migration_report({}, "tcp:[::1]:44")["socket-address"][0],
              Json::parse(R"({"type":"inet","host":"::1","port":"44","ipv6":true})"));
    EXPECT_EQ(migration_report({}, "rdma:127.0.0.1:4444")["socket-address"][0],
              Json::parse(R"({"type":"inet","host":"127.0.0.1","port":"4444","ipv4":true})"));
    EXPECT_EQ(migration_report({}, "unix:/a:b")["socket-address"][0], Json::parse(R"({"type":"unix","path":"/a:b"})"));
    EXPECT_FALSE(migration_report({}, "exec:x").contains("socket-address"));
}

TEST(MigrationReport, HasTheCacheOfXbzrle) {
    MigrationStatistics s = completed();
    EXPECT_FALSE(migration_report(s, std::nullopt).contains("xbzrle-cache"));
    s.xbzrle = XbzrleStatistics{.cache_bytes = 1,
                                .bytes = 2,
                                .pages = 3,
                                .unchanged_pages = 4,
                                .cache_misses = 5,
                                .overflows = 6,
                                .cache_miss_rate = 0.5,
                                .encoding_rate = 7.5};
    EXPECT_EQ(migration_report(s, std::nullopt)["xbzrle-cache"],
              Json::parse(R"({"cache-size":1,"bytes":2,"pages":3,"cache-miss":5,"cache-miss-rate":0.5,
                              "encoding-rate":7.5,"overflow":6,"x-godwit-unchanged":4})"));
}

TEST(MigrationReport, HasWhatRdmaHasRegistered) {
    MigrationStatistics s = completed();
    EXPECT_FALSE(migration_report(s, std::nullopt).contains("rdma"));
    s.direct = DirectPageFigures{.transferred_bytes = 1,
                                 .pages = 2,
                                 .registrations = 3,
                                 .registered_bytes = 4096,
                                 .pin_all = true,
                                 .transport = "shm"};
    EXPECT_EQ(migration_report(s, std::nullopt)["rdma"],
              Json::parse(R"({"transport":"shm","registrations":3,"registered":4096,"pin-all":true})"));
}

TEST(MigrationReport, HasQemusFieldsOfDisks) {
    MigrationStatistics s = completed();
    EXPECT_FALSE(migration_report(s, std::nullopt).contains("disk"));
    s.disk = DiskStatistics{
        .transferred_bytes = 1, .remaining_bytes = 2, .total_bytes = 3, .data_chunks = 4, .zero_chunks = 5};
    EXPECT_EQ(migration_report(s, std::nullopt)["disk"],
              Json::parse(R"({"transferred":1,"remaining":2,"total":3,"duplicate":0,"skipped":0,"normal":0,
        "normal-bytes":0,"dirty-pages-rate":0,"mbps":0,"dirty-sync-count":0,"postcopy-requests":0,"page-size":0,
        "multifd-bytes":0,"pages-per-second":0,"precopy-bytes":0,"downtime-bytes":0,"postcopy-bytes":0,
        "dirty-sync-missed-zero-copy":0,"x-godwit-data-chunks":4,"x-godwit-zero-chunks":5})"));
}

TEST(MigrationReport, HasQemusFields) {
    const Json report = migration_report(completed(), std::nullopt);
    EXPECT_EQ(report["status"], "completed");
    EXPECT_EQ(report["total-time"], 1234);
    EXPECT_EQ(report["setup-time"], 3);
    EXPECT_EQ(report["downtime"], 5);
    EXPECT_FALSE(report.contains("expected-downtime"));
    EXPECT_FALSE(report.contains("error-desc"));
    EXPECT_FALSE(report.contains("socket-address"));
    EXPECT_EQ(report["ram"], Json::parse(R"({"transferred":1,"remaining":2,"total":3,"duplicate":4,"skipped":0,
        "normal":5,"normal-bytes":20480,"dirty-pages-rate":6,"mbps":10.5,"x-godwit-bytes-per-second":13,"dirty-sync-count":7,"postcopy-requests":0,
        "page-size":4096,"multifd-bytes":0,"pages-per-second":9,"precopy-bytes":11,"downtime-bytes":12,
        "postcopy-bytes":0,"dirty-sync-missed-zero-copy":0})"));
}

TEST(MigrationReport, HasFieldsOfItsOwn) {
    const Json report = migration_report(completed(), std::nullopt);
    EXPECT_EQ(report["x-godwit-downtime-ns"], 4567000);
    EXPECT_EQ(report["x-godwit-stopped-at-ns"], 1000);
    EXPECT_EQ(report["x-godwit-running-at-ns"], 4568000);
    EXPECT_EQ(report["x-godwit-passes"], 8);
    EXPECT_EQ(report["x-godwit-peer"], "godwit 0.1");
}

TEST(MigrationReport, KeepsFiguresAfterAFailure) {
    MigrationStatistics s;
    s.state = MigrationState::failed;
    s.transferred_bytes = 77;
    s.error = Error{ErrorCode::handover_unknown, "the connection broke", "look at both sides"};
    const Json report = migration_report(s, std::nullopt);
    EXPECT_EQ(report["status"], "failed");
    EXPECT_EQ(report["error-desc"], "the connection broke");
    EXPECT_EQ(report["x-godwit-error-code"], "handover-unknown");
    EXPECT_EQ(report["x-godwit-error-hint"], "look at both sides");
    EXPECT_EQ(report["ram"]["transferred"], 77);
    EXPECT_FALSE(report.contains("downtime"));
    EXPECT_FALSE(report.contains("setup-time"));
}

TEST(MigrationReport, AnErrorWithoutAHintHasThatOfItsCode) {
    MigrationStatistics s;
    s.state = MigrationState::failed;
    s.error = Error{ErrorCode::stream_corrupt, "it does not end"};
    const Json report = migration_report(s, std::nullopt);
    EXPECT_NE(report["x-godwit-error-hint"].get<std::string>().find("'godwit inspect FILE'"), std::string::npos)
        << report;
}

TEST(MigrationReport, PredictsWhileActive) {
    MigrationStatistics s;
    s.state = MigrationState::active;
    s.expected_downtime = milliseconds(42);
    const Json report = migration_report(s, std::nullopt);
    EXPECT_EQ(report["status"], "active");
    EXPECT_EQ(report["expected-downtime"], 42);
}

}  // namespace
}  // namespace godwit
