// SPDX-License-Identifier: Apache-2.0

extension LogPage {
    /// Self-tests that the Self-Test Results log page holds (SPC-4 7.3.17).
    public static let selfTestCount = 20
    private static let selfTestByteCount = 16

    /// Self-Test Results: always 20 parameters, from 0001h. `results`: the bytes of each behind the parameter's header
    /// (SELF-TEST CODE with SELF-TEST RESULTS, SELF-TEST NUMBER, ACCUMULATED POWER ON HOURS, ADDRESS OF FIRST FAILURE,
    /// SENSE KEY, ADDITIONAL SENSE CODE, its QUALIFIER, vendor specific), the youngest first; zeroes stand for the
    /// rest.
    public static func selfTestResults(_ results: [[UInt8]]) -> LogPage {
        let parameters = (0..<selfTestCount).map { index in
            let bytes = index < results.count ? results[index].prefix(selfTestByteCount) : []
            let padding = [UInt8](repeating: 0, count: selfTestByteCount - bytes.count)
            return LogParameter.list(UInt16(index + 1), bytes + padding)
        }
        return LogPage(code: LogPageCode.selfTestResults, parameters: parameters)
    }
}
