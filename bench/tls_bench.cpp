// How fast TLS is, against the channel below it alone and the cipher alone, in turns: tls_bench [MIB]
//
// What the two allow together: each side has to move the bytes and to cipher them, one after the other on the
// migration's one thread, so a side takes 1 / (1 / channel + 1 / cipher) bytes in a second; both sides work at the same
// time, so the slower one decides. The ratio is what TLS reaches of that. By the processor's clock it is the same on a
// machine that has other things to do as well; by the wall's clock it says something only on one with two idle
// processors.
#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/monotonic_clock.h"
#include "io/socket_channel.h"
#include "io/tls_channel.h"
#include "io/tls_testing.h"

namespace godwit {
namespace {

constexpr int rounds = 7;
constexpr std::size_t page = 4096;
constexpr std::size_t header = 8;
constexpr std::size_t pages_per_write = 500;

MonotonicClock wall_clock;

template <typename T>
T need(Result<T> result) {
    if (!result) {
        fmt::print(stderr, "{}\n", result.error().text());
        std::exit(1);
    }
    return std::move(*result);
}

double thread_cpu_s() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// What both sides spent. The wall's clock tells more on an idle machine, the processor's on a busy one.
struct Spent {
    double wall_s = 0;
    double source_cpu_s = 0;
    double destination_cpu_s = 0;

    double slower_cpu_s() const { return std::max(source_cpu_s, destination_cpu_s); }
};

using Seconds = std::pair<double, double>;

double seconds_of(const std::function<void()>& work) {
    const double begin = thread_cpu_s();
    work();
    return thread_cpu_s() - begin;
}

/// Pages with their heads, as a migration sends them.
struct Pages {
    Pages() : bytes(pages_per_write * (page + header)) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::byte>(i * 7 + i / 255);
        }
        for (std::size_t begin = 0; begin < bytes.size(); begin += page + header) {
            parts.emplace_back(bytes.data() + begin, header);
            parts.emplace_back(bytes.data() + begin + header, page);
        }
    }
    std::vector<std::byte> bytes;
    std::vector<ConstBuffer> parts;
};

/// As many as one write takes, from `parts` on.
std::span<const ConstBuffer> next_parts(std::span<const ConstBuffer> parts) {
    return parts.first(std::min(parts.size(), max_gather_buffers));
}

/// What is left after `count` bytes, as a stream's writer does it.
std::span<ConstBuffer> without(std::span<ConstBuffer> parts, std::size_t count) {
    while (!parts.empty() && count >= parts.front().size()) {
        count -= parts.front().size();
        parts = parts.subspan(1);
    }
    if (count != 0) {
        parts.front() = parts.front().subspan(count);
    }
    return parts;
}

Spent send_through(Channel& from, Channel& to, std::size_t total_bytes) {
    const Pages pages;
    const std::size_t writes = total_bytes / pages.bytes.size();
    Spent spent;
    const auto begin = std::chrono::steady_clock::now();
    std::thread writer([&] {
        for (std::size_t i = 0; i < writes; ++i) {
            std::vector<ConstBuffer> parts = pages.parts;
            for (std::span<ConstBuffer> left(parts); !left.empty();) {
                left = without(left, need(from.write_some(next_parts(left), never)));
            }
        }
        spent.source_cpu_s = thread_cpu_s();
    });
    const double before = thread_cpu_s();
    std::vector<std::byte> place(1 << 20);
    const MutableBuffer buffer(place);
    for (std::size_t got = 0; got < writes * pages.bytes.size();) {
        got += need(to.read_some({&buffer, 1}, never));
    }
    spent.destination_cpu_s = thread_cpu_s() - before;
    writer.join();
    spent.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return spent;
}

struct Ends {
    std::unique_ptr<Channel> from;
    std::unique_ptr<Channel> to;
};

Ends tcp_ends() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    const int from = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), bytes) != 0 || ::listen(listener, 1) != 0 ||
        ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes) != 0 ||
        ::connect(from, reinterpret_cast<sockaddr*>(&address), bytes) != 0) {
        fmt::print(stderr, "no connection on loopback\n");
        std::exit(1);
    }
    const int to = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(listener);
    return {need(SocketChannel::create(FileDescriptor(from), "from", wall_clock)),
            need(SocketChannel::create(FileDescriptor(to), "to", wall_clock))};
}

Ends tls_ends(const TlsTerms& client, const TlsTerms& server) {
    Ends below = tcp_ends();
    std::unique_ptr<TlsSession> at_server;
    std::thread serving([&] { at_server = need(shake_hands(*below.to, server, wall_clock, never)); });
    auto at_client = need(shake_hands(*below.from, client, wall_clock, never));
    serving.join();
    return {std::make_unique<TlsChannel>(std::move(below.from), std::move(at_client), wall_clock),
            std::make_unique<TlsChannel>(std::move(below.to), std::move(at_server), wall_clock)};
}

/// The cipher alone, as GnuTLS has it (AES-256-GCM), on records of TLS's size: seconds for encryption and decryption.
Seconds cipher_alone(std::size_t total_bytes) {
    constexpr std::size_t record = 16 * 1024;
    constexpr std::size_t tag = 16;
    std::vector<unsigned char> key(32, 7);
    const gnutls_datum_t key_datum{key.data(), static_cast<unsigned>(key.size())};
    gnutls_aead_cipher_hd_t cipher = nullptr;
    test::must(gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_256_GCM, &key_datum), "cipher");
    std::vector<unsigned char> nonce(12, 1);
    std::vector<unsigned char> plain(record, 5);
    // As many as lie in a channel's buffers at once.
    std::vector<std::vector<unsigned char>> sealed(64, std::vector<unsigned char>(record + tag));
    Seconds seconds;
    for (std::size_t done = 0; done < total_bytes; done += sealed.size() * record) {
        seconds.first += seconds_of([&] {
            for (auto& each : sealed) {
                std::size_t bytes = each.size();
                test::must(gnutls_aead_cipher_encrypt(cipher, nonce.data(), nonce.size(), nullptr, 0, tag, plain.data(),
                                                      plain.size(), each.data(), &bytes),
                           "encryption");
            }
        });
        seconds.second += seconds_of([&] {
            for (const auto& each : sealed) {
                std::size_t bytes = plain.size();
                test::must(gnutls_aead_cipher_decrypt(cipher, nonce.data(), nonce.size(), nullptr, 0, tag, each.data(),
                                                      each.size(), plain.data(), &bytes),
                           "decryption");
            }
        });
    }
    gnutls_aead_cipher_deinit(cipher);
    return seconds;
}

TlsTerms terms(const std::string& directory, TlsEndpoint endpoint) {
    TlsCredentialsSpec spec;
    spec.dir = directory;
    spec.endpoint = endpoint;
    TlsTerms made;
    made.credentials = need(TlsCredentials::load(spec));
    made.hostname = "localhost";
    return made;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

int run(std::size_t mib) {
    std::string directory = std::filesystem::temp_directory_path() / "godwit-tls-bench-XXXXXX";
    if (::mkdtemp(directory.data()) == nullptr) {
        fmt::print(stderr, "cannot make {}\n", directory);
        return 1;
    }
    test::write_directories(directory);
    const TlsTerms client = terms(directory + "/good", TlsEndpoint::client);
    const TlsTerms server = terms(directory + "/good", TlsEndpoint::server);
    std::filesystem::remove_all(directory);
    const std::size_t bytes = mib << 20;
    const double mb = static_cast<double>(bytes) / 1e6;
    std::vector<double> wall_ratios;
    std::vector<double> cpu_ratios;
    for (int round = 0; round < rounds; ++round) {
        Ends bare_ends = tcp_ends();
        const Spent bare = send_through(*bare_ends.from, *bare_ends.to, bytes);
        const auto [encryption_s, decryption_s] = cipher_alone(bytes);
        Ends ends = tls_ends(client, server);
        const Spent tls = send_through(*ends.from, *ends.to, bytes);
        // Each side has the channel's work and the cipher's, one after the other; the slower side decides.
        const double allowed_wall_s = bare.wall_s + std::max(encryption_s, decryption_s);
        const double allowed_cpu_s = std::max(bare.source_cpu_s + encryption_s, bare.destination_cpu_s + decryption_s);
        wall_ratios.push_back(allowed_wall_s / tls.wall_s);
        cpu_ratios.push_back(allowed_cpu_s / tls.slower_cpu_s());
        fmt::print(
            "MB/s by the wall's clock: bare {:.0f}, TLS {:.0f}; per second of a processor: bare {:.0f}/{:.0f}, cipher "
            "{:.0f}/{:.0f}, TLS {:.0f}/{:.0f} (source/destination); of what is allowed {:.2f} and {:.2f}\n",
            mb / bare.wall_s, mb / tls.wall_s, mb / bare.source_cpu_s, mb / bare.destination_cpu_s, mb / encryption_s,
            mb / decryption_s, mb / tls.source_cpu_s, mb / tls.destination_cpu_s, wall_ratios.back(),
            cpu_ratios.back());
    }
    fmt::print(
        "TLS reaches {:.2f} of what channel and cipher allow by the wall's clock, {:.2f} by the processor's (medians "
        "of "
        "{})\n",
        median(wall_ratios), median(cpu_ratios), rounds);
    return 0;
}

}  // namespace
}  // namespace godwit

int main(int count, char** arguments) {
    return godwit::run(count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 256);
}
