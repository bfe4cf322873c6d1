// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ITaskEscrow} from "../interfaces/ITaskEscrow.sol";
import {Plan, SettlementReceipt, Row, Terms} from "../Types.sol";

/// @title Who gets how much (settlement spec §2.4)
/// @dev A function of terms, rows, outcome and balance only (M3). Every division rounds down: the dust of the commission
/// stays with the worker, the dust of the fee with the residual.
library Payouts {
    uint256 internal constant MAX_ROWS = 16;
    uint8 internal constant PAID = 1;
    uint8 internal constant REJECTED = 2;
    uint8 internal constant WORKER = 0;
    uint8 internal constant VALIDATOR = 1;
    uint256 internal constant BPS = 10_000;
    /// Creator, gateway, refundTo.
    uint256 internal constant MAX_COMPUTED = 3;

    /// @notice Splits `balance` as the receipt says, or reverts with the first broken rule. `Underfunded` is worth a
    /// retry after a top-up.
    function plan(Terms memory terms, SettlementReceipt calldata receipt, address escrow, uint256 balance)
        internal
        view
        returns (Plan memory result)
    {
        uint256 rows = receipt.rows.length;
        if (rows > MAX_ROWS) revert ITaskEscrow.TooManyRows(rows);
        uint256[] memory payouts = new uint256[](rows + MAX_COMPUTED);
        (uint256 workerTotal, uint256 validatorTotal, uint256 commission) = _rows(terms, receipt.rows, escrow, payouts);
        _outcome(receipt.outcome, workerTotal);
        if (validatorTotal > terms.validatorFeeCap) {
            revert ITaskEscrow.ValidatorsOverCap(validatorTotal, terms.validatorFeeCap);
        }
        uint256 gatewayFee;
        uint256 owed;
        // As in `_rows`: far from 2^256.
        unchecked {
            gatewayFee = workerTotal * terms.gatewayFeeBps / BPS;
            owed = workerTotal + validatorTotal + gatewayFee;
        }
        if (owed > terms.budget) revert ITaskEscrow.OverBudget(owed, terms.budget);
        if (owed > balance) revert ITaskEscrow.Underfunded(owed, balance);
        _expectPayee(terms.commissionPayee, escrow, terms.asset);
        _expectPayee(terms.gatewayFeePayee, escrow, terms.asset);
        result = Plan(workerTotal, validatorTotal, commission, gatewayFee, owed, balance - owed, payouts);
        _append(terms, rows, result);
    }

    /// @notice Accounts that could never spend what they were paid: zero, the escrow, the token, the ledger (#58, M2d).
    function forbids(address payee, address escrow, address asset) internal view returns (bool) {
        return payee == address(0) || payee == escrow || payee == asset || payee == address(this);
    }

    function pack(address payee, uint256 amount) internal pure returns (uint256) {
        return uint256(uint160(payee)) << 96 | amount;
    }

    function unpack(uint256 payout) internal pure returns (address payee, uint256 amount) {
        return (address(uint160(payout >> 96)), uint96(payout));
    }

    function _rows(Terms memory terms, Row[] calldata rows, address escrow, uint256[] memory payouts)
        private
        view
        returns (uint256 workerTotal, uint256 validatorTotal, uint256 commission)
    {
        address asset = terms.asset;
        uint256 commissionBps = terms.commissionBps;
        address last;
        for (uint256 i; i < rows.length; ++i) {
            Row calldata row = rows[i];
            address payee = row.payee;
            uint256 amount = row.amount;
            uint8 role = row.role;
            if (forbids(payee, escrow, asset)) revert ITaskEscrow.BadPayee(payee);
            if (payee <= last) revert ITaskEscrow.RowsNotAscending(i);
            if (amount == 0) revert ITaskEscrow.ZeroAmount(i);
            last = payee;
            // Sixteen numbers of 96 bits, times at most 16 bits: nothing here comes near 2^256.
            unchecked {
                if (role == WORKER) {
                    workerTotal += amount;
                    uint256 taken = amount * commissionBps / BPS;
                    commission += taken;
                    amount -= taken;
                } else if (role == VALIDATOR) {
                    validatorTotal += amount;
                } else {
                    revert ITaskEscrow.BadRole(i, role);
                }
            }
            payouts[i] = pack(payee, amount);
        }
    }

    /// Rows are never of zero, so a worker total of zero says that there is no worker row.
    function _outcome(uint8 outcome, uint256 workerTotal) private pure {
        if (outcome == PAID) {
            if (workerTotal == 0) revert ITaskEscrow.PaidWithoutWorker();
        } else if (outcome == REJECTED) {
            if (workerTotal != 0) revert ITaskEscrow.RejectedWithWorker();
        } else {
            revert ITaskEscrow.BadOutcome(outcome);
        }
    }

    /// Creator and gateway are payees too, so the same addresses are forbidden; zero says that there is none.
    function _expectPayee(address payee, address escrow, address asset) private view {
        if (payee != address(0) && forbids(payee, escrow, asset)) revert ITaskEscrow.BadPayee(payee);
    }

    /// The computed payouts behind the rows, and the array cut to what is in it.
    function _append(Terms memory terms, uint256 rows, Plan memory result) private pure {
        uint256[] memory payouts = result.payouts;
        uint256 count = rows;
        if (result.commission != 0) payouts[count++] = pack(terms.commissionPayee, result.commission);
        if (result.gatewayFee != 0) payouts[count++] = pack(terms.gatewayFeePayee, result.gatewayFee);
        // A balance beyond 96 bits is left for a sweep: no real token has that many units.
        uint256 residual = result.residual < type(uint96).max ? result.residual : type(uint96).max;
        if (residual != 0) payouts[count++] = pack(terms.refundTo, residual);
        assembly ("memory-safe") {
            mstore(payouts, count) // only ever shorter than it was made
        }
    }
}
