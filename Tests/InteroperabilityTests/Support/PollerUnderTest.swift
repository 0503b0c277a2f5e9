// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The poller that the servers of a test use.
enum PollerUnderTest {
    /// `MARTLET_TEST_POLLER` in the environment makes every server use that one.
    static let forced = ProcessInfo.processInfo.environment["MARTLET_TEST_POLLER"]

    @TaskLocal static var current: String?

    /// For `martlet serve`.
    static var options: [String] { (forced ?? current).map { ["--poller", $0] } ?? [] }
}

/// Every test of the suite runs with each poller, one after the other.
struct OnEachPoller: SuiteTrait, TestTrait, TestScoping {
    let isRecursive = true

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil, PollerUnderTest.forced == nil else { return try await function() }
        for poller in ["epoll", "io_uring"] {
            print("with --poller \(poller):")
            try await PollerUnderTest.$current.withValue(poller) { try await function() }
        }
    }
}

extension Trait where Self == OnEachPoller {
    static var onEachPoller: Self { OnEachPoller() }
}
