//! Disputes, and the inquiries that come before some of them.

use serde_json::json;

use super::{Life, World, places, text};

impl World {
    /// A dispute is opened, or one goes on.
    pub(super) fn dispute(&mut self, life: &mut Life) {
        let running = places(&life.disputes, |dispute| {
            !matches!(text(dispute, "status"), "won" | "lost" | "warning_closed")
        });
        match self.pick(&running) {
            Some(place) if self.chance(70) => self.go_on(life, place),
            _ => self.open_dispute(life),
        }
    }

    fn open_dispute(&mut self, life: &mut Life) {
        let paid = places(&life.charges, |charge| {
            text(charge, "status") == "succeeded" && charge["captured"] == true
        });
        let Some(charge) = self.pick(&paid).and_then(|place| life.charges.get(place)) else {
            return;
        };
        let status = if self.chance(35) {
            "warning_needs_response"
        } else {
            "needs_response"
        };
        let dispute = json!({
            "id": self.id("dp"), "object": "dispute", "charge": charge["id"],
            "payment_intent": charge["payment_intent"], "amount": charge["amount"],
            "currency": charge["currency"], "status": status, "reason": "fraudulent",
            "created": self.now, "livemode": false, "metadata": {},
        });
        self.tell("charge.dispute.created", &dispute);
        life.disputes.push(dispute);
    }

    fn go_on(&mut self, life: &mut Life, place: usize) {
        let Some(dispute) = life.disputes.get_mut(place) else {
            return;
        };
        let ahead = self.chance(60);
        let status = match (text(dispute, "status"), ahead) {
            ("warning_needs_response", true) => "warning_under_review",
            ("warning_needs_response" | "warning_under_review", false) => "needs_response",
            ("warning_under_review", true) => "warning_closed",
            ("needs_response", _) => "under_review",
            (_, true) => "won",
            (_, false) => "lost",
        };
        let kind = match status {
            "won" | "lost" | "warning_closed" => "charge.dispute.closed",
            _ => "charge.dispute.updated",
        };
        self.update(kind, dispute, json!({ "status": status }));
    }
}
