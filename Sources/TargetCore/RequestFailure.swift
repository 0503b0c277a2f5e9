// SPDX-License-Identifier: Apache-2.0

import SCSI

/// With what a command ends when a request for it has failed: the one place where the outcome of a store becomes
/// status and sense data. Whatever the store says, it is never GOOD, and never sense data that an initiator takes
/// for success.
struct RequestFailure {
    let status: Status
    /// Always there with CHECK CONDITION.
    let sense: SenseData?

    init(_ outcome: BlockOutcome) {
        switch outcome {
        case .good, .notHandled, .failedWithStoreSense, .failed(.good, _), .failed(.conditionMet, _),
            .failed(.taskAborted, _), .failed(.acaActive, _):
            self.init(sense: .internalTargetFailure)
        case .miscompare(let byte):
            self.init(sense: .miscompare(atByte: byte))
        case .failed(.checkCondition, let sense):
            guard let sense, !Self.readsAsSuccess(sense.key) else {
                self.init(sense: .internalTargetFailure)
                return
            }
            self.init(sense: sense)
        case .failed(let status, _):
            self.init(status: status, sense: nil)
        }
    }

    init(sense: SenseData) {
        self.init(status: .checkCondition, sense: sense)
    }

    private init(status: Status, sense: SenseData?) {
        self.status = status
        self.sense = sense
    }

    /// Initiators treat CHECK CONDITION with these keys as a command that was done.
    private static func readsAsSuccess(_ key: SenseKey) -> Bool {
        key == .noSense || key == .recoveredError || key == .completed
    }
}
